"""Detached clones of what a container sees of the host, made in the caller's mount namespace."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

from enclos.errors import InvalidRequest, NotFound
from enclos.linux import libc, mount, mountapi, namespaces
from enclos.plan.guestmounts import SharedSource


def clone(path: Path, opened: ExitStack, *, recursive: bool) -> int:
    """A detached clone of what is mounted at `path`, private, closed by `opened`."""
    try:
        descriptor = mount.open_tree_clone(path, recursive=recursive)
    except FileNotFoundError as error:
        raise NotFound(f"mount source {path} does not exist") from error
    opened.callback(os.close, descriptor)
    mountapi.mount_setattr(descriptor, propagation=libc.MS_PRIVATE, recursive=recursive)
    return descriptor


def of_source(source: SharedSource, opened: ExitStack) -> int:
    """A clone of a shared source with its attributes and owners; raises as `clone` does."""
    tree = clone(Path(source.source), opened, recursive=source.recursive)
    if source.readonly:
        recursive = source.recursive_readonly
        mount.set_attributes(tree, mountapi.MOUNT_ATTR_RDONLY, recursive=recursive)
    if source.uid_mappings:
        _map_owners(tree, source)
    return tree


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
