"""Modules of the guest's kernel that nobody but the agent can ask for.

Most are loaded by the kernel's own call of modprobe. Those of the boot have to be there before;
those of iptables' older interface would be loaded by iptables, were it not within a container.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import Any, Final

from enclos.errors import GuestFailed
from enclos.linux import libc

_TABLE: Final = "/etc/enclos/modules"
_LOADED: Final = "/sys/module"
_ADMIN: Final = "CAP_NET_ADMIN"
_FIREWALLS: Final = frozenset(("x_tables", "ip_tables", "ip6_tables"))
_COMPRESSED: Final = 4
"""MODULE_INIT_COMPRESSED_FILE (Linux 5.17)."""


def load_for_boot() -> None:
    """Load what the agent itself works with; raises `GuestFailed`."""
    for group, _, path in _entries():
        if group == "boot":
            _load(path)
            os.unlink(path)  # the initramfs is memory, and in every template


def load_for(document: Any) -> None:
    """Load what a container with this spec might ask a host for; raises `GuestFailed`.

    A firewall's tables come by themselves once the interface that asks for them is there.
    """
    try:
        asked = _ADMIN in document["process"]["capabilities"]["bounding"]
    except (KeyError, TypeError):
        asked = False  # nothing is said about it
    if not asked:
        return
    for _, name, path in _entries():
        if name in _FIREWALLS and not os.path.exists(f"{_LOADED}/{name}"):
            _load(path, flags=_COMPRESSED)


def _entries() -> Iterator[list[str]]:
    """Group, name and path of each, those that others depend on first."""
    with open(_TABLE, encoding="ascii") as file:
        for line in file:
            yield line.split()


def _load(path: str, *, flags: int = 0) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        libc.finit_module(descriptor, flags=flags)
    except OSError as error:
        if error.errno != errno.EEXIST:
            raise GuestFailed(f"cannot load {path}: {error}") from error
    finally:
        os.close(descriptor)
