"""Mounts: bind, tmpfs, propagation, detached copies, and taking them away again.

What to mount where is decided elsewhere. Overlays are in `overlay`, the table of mounts in
`mountinfo`, paths inside a root that somebody hostile writes to in `inroot`. Everything raises
`OSError` with the call and the path in its message.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from enclos.linux import libc, mountapi, mountinfo

Place = Path | str | int
"""Where something is, or is to be mounted; a descriptor stands for the file it is open on."""


def bind(
    source: Place,
    target: Place,
    *,
    recursive: bool = True,
    readonly: bool = False,
) -> None:
    """Bind `source` on `target`; a descriptor stands for the very file it is open on.

    `readonly` (with everything below if `recursive`) holds before the mount can be seen.
    Raises `OSError` (`ENOENT`, `ENOTDIR`, `EPERM`).
    """
    with cloned(source, recursive=recursive) as mount:
        if readonly:
            set_attributes(mount, mountapi.MOUNT_ATTR_RDONLY, recursive=recursive)
        attach(mount, target)


@contextmanager
def cloned(source: Place, *, recursive: bool) -> Iterator[int]:
    """A detached copy of the mount at `source`, closed (and gone unless attached) at the end."""
    descriptor = open_tree_clone(source, recursive=recursive)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_tree_clone(source: Place, *, recursive: bool) -> int:
    """A descriptor of a detached copy of the mount at `source` (Linux 5.2); the caller closes it.

    It may be handed to another mount namespace and attached there.
    """
    flags = mountapi.OPEN_TREE_CLONE | (mountapi.AT_RECURSIVE if recursive else 0)
    if isinstance(source, int):
        return mountapi.open_tree("", directory=source, flags=flags | mountapi.AT_EMPTY_PATH)
    return mountapi.open_tree(os.fspath(source), flags=flags)


def attach(mount: int, target: Place) -> None:
    """Put a detached mount on `target`; a descriptor stands for the very file it is open on."""
    if isinstance(target, int):
        mountapi.move_mount(mount, "", directory=target)
    else:
        mountapi.move_mount(mount, os.fspath(target))


def set_attributes(mount: int, add: int, *, clear: int = 0, recursive: bool = False) -> None:
    """Set MOUNT_ATTR_… bits of the mount behind a descriptor (Linux 5.12, all or nothing)."""
    if add & mountapi.MOUNT_ATTR_NOATIME:
        clear |= mountapi.MOUNT_ATTR_ATIME_MASK
    mountapi.mount_setattr(mount, add=add, clear=clear, recursive=recursive)


def map_owners(mount: int, users: int, *, recursive: bool = False) -> None:
    """Show owners by the mappings of the user namespace `users` (Linux 5.12).

    Once only, before the mount is attached. `OSError` (`EINVAL`) for a file system that cannot.
    """
    add = mountapi.MOUNT_ATTR_IDMAP
    mountapi.mount_setattr(mount, add=add, users=users, recursive=recursive)


def make_private(target: Path | str, *, recursive: bool = True) -> None:
    """Neither send nor receive mounts at `target`, which must be a mount point."""
    _propagate(target, libc.MS_PRIVATE, recursive=recursive)


def make_slave(target: Path | str, *, recursive: bool = True) -> None:
    """Receive the peers' mounts at `target`, send none."""
    _propagate(target, libc.MS_SLAVE, recursive=recursive)


def make_shared(target: Path | str, *, recursive: bool = True) -> None:
    """Send and receive mounts at `target`."""
    _propagate(target, libc.MS_SHARED, recursive=recursive)


def _propagate(target: Path | str, kind: int, *, recursive: bool) -> None:
    libc.mount("", os.fspath(target), "", kind | (libc.MS_REC if recursive else 0), "")


def tmpfs(
    target: Place,
    *,
    mode: int = 0o755,
    size_bytes: int | None = None,
    inodes: int | None = None,
    attributes: int = mountapi.MOUNT_ATTR_NOSUID | mountapi.MOUNT_ATTR_NODEV,
    name: str = "enclos",
) -> None:
    """Mount a new tmpfs, shown as `name` in the table of mounts."""
    options = {"source": name, "mode": f"{mode:o}"}
    if size_bytes is not None:
        options["size"] = str(size_bytes)
    if inodes is not None:
        options["nr_inodes"] = str(inodes)
    new(target, "tmpfs", options, attributes=attributes)


def new(target: Place, fstype: str, options: dict[str, str], *, attributes: int = 0) -> None:
    """Mount a new file system of a kind that takes only string options (Linux 5.2)."""
    context = mountapi.fsopen(fstype)
    try:
        for key, value in options.items():
            mountapi.set_string(context, key, value)
        mountapi.create(context)
        mount = mountapi.fsmount(context, attributes)
    finally:
        os.close(context)
    try:
        attach(mount, target)
    finally:
        os.close(mount)


def unmount(target: Path | str, *, detach: bool = False) -> bool:
    """Unmount the topmost mount at `target`; False if there is none (any more).

    A symbolic link is not followed. `detach` takes it out of sight now and lets users finish.
    """
    flags = libc.UMOUNT_NOFOLLOW | (libc.MNT_DETACH if detach else 0)
    try:
        libc.umount2(os.fspath(target), flags)
    except OSError as error:
        if error.errno in {errno.EINVAL, errno.ENOENT}:
            return False
        raise
    return True


def unmount_below(target: Path | str, *, detach: bool = False) -> int:
    """Unmount everything at and below `target`, last first; answers how many there were."""
    entries = mountinfo.below(target)
    return sum(unmount(entry.target, detach=detach) for entry in reversed(entries))
