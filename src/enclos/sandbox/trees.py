"""Detached clones of what a container sees of the host, made in the caller's mount namespace."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from enclos.errors import InvalidRequest, NotFound
from enclos.linux import libc, mount, mountapi, mountinfo, namespaces
from enclos.plan.guestmounts import SharedSource

READONLY: Final = ":ro"
"""The end of the likeness of what may only be read."""


def clone(path: Path, opened: ExitStack, *, recursive: bool, follows: bool = False) -> int:
    """A detached clone of what is mounted at `path`, closed by `opened`.

    It is private, or gets what is mounted below `path` later if it `follows`.
    """
    try:
        descriptor = mount.open_tree_clone(path, recursive=recursive)
    except FileNotFoundError as error:
        raise NotFound(f"mount source {path} does not exist") from error
    opened.callback(os.close, descriptor)
    kind = libc.MS_SLAVE if follows else libc.MS_PRIVATE
    mountapi.mount_setattr(descriptor, propagation=kind, recursive=recursive)
    return descriptor


def of_source(source: SharedSource, opened: ExitStack) -> int:
    """A clone of a shared source with its attributes and owners; raises as `clone` does."""
    tree = clone(Path(source.source), opened, recursive=source.recursive, follows=source.follows)
    if source.readonly:
        recursive = source.recursive_readonly
        mount.set_attributes(tree, mountapi.MOUNT_ATTR_RDONLY, recursive=recursive)
    if source.uid_mappings:
        _map_owners(tree, source)
    return tree


def likenesses(sources: Sequence[SharedSource], trees: Sequence[int]) -> tuple[str, ...]:
    """What other sources of the machine must have in common with these to be the same volumes."""
    mounts = [entry.target for entry in mountinfo.entries()]
    return tuple(
        _likeness(source, tree, mounts) for source, tree in zip(sources, trees, strict=True)
    )


def _likeness(source: SharedSource, tree: int, mounts: list[Path]) -> str:
    """Empty for one with owners or mounts of its own: the host may have mounted something below
    it since another was cloned."""
    place = Path(source.source).resolve()
    below = [one for one in mounts if one != place and one.is_relative_to(place)]
    if source.uid_mappings or (source.recursive and below):
        return ""
    found, flags = os.fstat(tree), os.fstatvfs(tree).f_flag
    parts = (found.st_dev, found.st_ino, flags & ~os.ST_RDONLY, source.follows)
    return ":".join(str(int(part)) for part in parts) + (READONLY if flags & os.ST_RDONLY else "")


def _map_owners(tree: int, source: SharedSource) -> None:
    lines = [
        [f"{one.container_id} {one.host_id} {one.size}" for one in mappings]
        for mappings in (source.uid_mappings, source.gid_mappings)
    ]
    try:
        with namespaces.user_namespace(*lines) as users:
            mount.map_owners(tree, users, recursive=source.maps_recursively)
    except OSError as error:
        raise InvalidRequest(
            f"cannot map the owners of {source.source}: {error}",
            hint="its file system must take part in idmapped mounts, or change the owners",
        ) from error
