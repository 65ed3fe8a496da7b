"""What a container has changed in its root file system: docker diff, from the upper directory.

Reads the layers and the upper directory beside each other, without mounting anything. The
guest may be changing the upper directory meanwhile: no link in it is followed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from enum import StrEnum
from typing import Final

from enclos.linux import libc
from enclos.storage.disk import disk_errors
from enclos.storage.merged import is_opaque, is_whiteout, look
from enclos.storage.nodes import DIRECTORY_FLAGS
from enclos.storage.rootfs import LayeredRoot
from enclos.structs import dataclass

_RESOLVE: Final = libc.RESOLVE_BENEATH | libc.RESOLVE_NO_SYMLINKS


class Kind(StrEnum):
    """docker's letters."""

    ADDED = "A"
    CHANGED = "C"
    DELETED = "D"


@dataclass(frozen=True, slots=True)
class Change:
    """One path, absolute in the container, and what happened to it."""

    kind: Kind
    path: str


@dataclass(frozen=True, slots=True)
class _Pair:
    """One directory of the upper tree, and its counterparts below, top first."""

    path: str
    below: tuple[str, ...]


def changes(root: LayeredRoot, *, ignored: Collection[str] = ()) -> tuple[Change, ...]:
    """Everything added, changed or deleted, by path.

    A directory counts as changed if its attributes differ or something in it has changed.
    `ignored` are paths at which the runtime mounts: what it made there to mount on is no
    change of the container's.
    """
    if not root.upper.is_dir():
        return ()
    found: dict[str, Kind] = {}
    with disk_errors(f"cannot compare {root.upper}"):
        upper_fd = os.open(root.upper, DIRECTORY_FLAGS)
        try:
            pending = [_Pair("", tuple(os.fspath(layer) for layer in root.layers))]
            while pending:
                pending += _compare(upper_fd, pending.pop(), found, ignored)
        finally:
            os.close(upper_fd)
    _mark_parents(found)
    return tuple(Change(kind, path) for path, kind in sorted(found.items()))


def _compare(
    upper_fd: int, pair: _Pair, found: dict[str, Kind], ignored: Collection[str]
) -> list[_Pair]:
    """Enter the changes in one directory into `found`; the directories to look at next."""
    inside: list[_Pair] = []
    try:
        fd = libc.openat2(upper_fd, pair.path or ".", flags=DIRECTORY_FLAGS, resolve=_RESOLVE)
    except (FileNotFoundError, NotADirectoryError):
        return []  # removed meanwhile
    try:
        names = os.listdir(fd)
        for name in names:
            child = _child(fd, pair, name=name, found=found, ignored=ignored)
            if child is not None:
                inside.append(child)
        if pair.below and is_opaque(f"/proc/self/fd/{fd}"):
            for name in _names_below(pair.below) - set(names):
                found[f"/{_join(pair.path, name)}"] = Kind.DELETED
    finally:
        os.close(fd)
    return inside


def _child(
    fd: int, pair: _Pair, *, name: str, found: dict[str, Kind], ignored: Collection[str]
) -> _Pair | None:
    path = _join(pair.path, name)
    try:
        status = os.stat(name, dir_fd=fd, follow_symlinks=False)
    except FileNotFoundError:
        return None
    old, below = look(pair.below, name)
    shown = f"/{path}"
    if is_whiteout(status):
        if old is not None:
            found[shown] = Kind.DELETED
        return None
    is_directory = stat.S_ISDIR(status.st_mode)
    if old is None:
        if shown not in ignored:
            found[shown] = Kind.ADDED
    elif not (is_directory and below and _alike(status, old)):
        found[shown] = Kind.CHANGED
    return _Pair(path, below) if is_directory else None


def _names_below(below: tuple[str, ...]) -> set[str]:
    names = {name for directory in below for name in os.listdir(directory)}
    return {name for name in names if look(below, name)[0] is not None}


def _mark_parents(found: dict[str, Kind]) -> None:
    """A directory in which something changed counts as changed."""
    for path in list(found):
        above = os.path.dirname(path)
        while above != "/" and above not in found:
            found[above] = Kind.CHANGED
            above = os.path.dirname(above)


def _alike(new: os.stat_result, old: os.stat_result) -> bool:
    """Whether two directories look the same; the time follows what is in them."""
    return (new.st_mode, new.st_uid, new.st_gid) == (old.st_mode, old.st_uid, old.st_gid)


def _join(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name
