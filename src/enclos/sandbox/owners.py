"""Which of our containers the namespaces belong to that a spec names by path.

Compared are device and inode of the namespaces, of living stand-ins only: a path may be a bind
mount or a descriptor's, and a number written down may be another's by now.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from enclos import log
from enclos.errors import EnclosError, InvalidRequest
from enclos.linux import namespaces
from enclos.oci.linux import Namespace
from enclos.plan.joining import FILES, Owner
from enclos.sandbox import reach
from enclos.state.records import ContainerRecord
from enclos.state.store import StateRoot

_PID: Final = re.compile(r"/proc/(\d+)/ns/\w+")


def find(root: StateRoot, listed: Sequence[Namespace]) -> dict[str, Owner]:
    """The owners by kind of namespace: the oldest of those that share it, whose it was first.

    Kinds that belong to nobody of ours are left out. Raises `InvalidRequest` for a path that is
    not there.
    """
    joined = [one for one in listed if one.path and one.type in FILES]
    if not joined:
        return {}
    living = tuple(_living(root))
    found = {one.type: _owner(one, living) for one in joined}
    return {kind: owner for kind, owner in found.items() if owner is not None}


def _living(root: StateRoot) -> Iterator[ContainerRecord]:
    """Containers that are not stopped; a damaged record is none of this container's business."""
    for name in root.container_ids():
        try:
            record, status = reach.container(root, name)
        except EnclosError as error:
            log.debug("not looked at", container=name, error=error)
            continue
        if status != "stopped" and record.pid:
            yield record


def _owner(namespace: Namespace, living: Sequence[ContainerRecord]) -> Owner | None:
    try:
        wanted = namespaces.identity_of(Path(namespace.path))
    except OSError as error:
        raise InvalidRequest(
            f"config.json: linux.namespaces: {namespace.type}: there is no {namespace.path[:200]}",
            hint="is the container whose namespace it is still running?",
        ) from error
    if wanted == namespaces.identity(namespace.type):  # stand-ins without one of theirs have it
        named = _PID.fullmatch(namespace.path)
        those = [one for one in living if named and one.pid == int(named[1])]
    else:
        those = [one for one in living if _identity(namespace.type, one.pid) == wanted]
    oldest = min(those, key=lambda one: one.created, default=None)
    return Owner(oldest.id, oldest.sandbox_id) if oldest is not None else None


def _identity(kind: str, number: int) -> tuple[int, int] | None:
    try:
        return namespaces.identity(kind, number)
    except OSError:
        return None  # it has ended meanwhile
