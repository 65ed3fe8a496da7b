"""Who lives in a network namespace. Only looks.

A namespace that engines make for one container holds nobody but our stand-in. One with other
processes in it has sockets that must go on working, so its packets are not ours to redirect.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator

from enclos.linux import namespaces

_INIT = 1


def is_hosts(identity: tuple[int, int]) -> bool:
    """Whether it is the namespace of the host, or the one we run in ourselves."""
    if identity == namespaces.identity("network"):
        return True
    try:
        return identity == namespaces.identity("network", _INIT)
    except PermissionError:
        return False  # in a container whose init is not ours to look at


def others(identity: tuple[int, int], ours: Collection[int]) -> Iterator[int]:
    """Processes in the namespace, those in `ours` apart."""
    for name in os.listdir("/proc"):
        if not name.isdecimal() or int(name) in ours:
            continue
        try:
            found = namespaces.identity("network", int(name))
        except OSError:
            continue  # it ended meanwhile, or is none of ours to look at
        if found == identity:
            yield int(name)
