"""The mount calls that work on descriptors, one function each (Linux 5.2 to 5.12).

Thin: what to do with them is in `mount` and `overlay`. Every function raises `OSError`.
"""

from __future__ import annotations

import os
import sys

from enclos.linux import libc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

AT_FDCWD: Final = -100
AT_EMPTY_PATH: Final = 0x1000
AT_RECURSIVE: Final = 0x8000
AT_SYMLINK_NOFOLLOW: Final = 0x100

OPEN_TREE_CLONE: Final = 1
MOVE_MOUNT_F_EMPTY_PATH: Final = 0x04
MOVE_MOUNT_T_EMPTY_PATH: Final = 0x40

MOUNT_ATTR_RDONLY: Final = 0x01
MOUNT_ATTR_NOSUID: Final = 0x02
MOUNT_ATTR_NODEV: Final = 0x04
MOUNT_ATTR_NOEXEC: Final = 0x08
MOUNT_ATTR_NOATIME: Final = 0x10
MOUNT_ATTR_STRICTATIME: Final = 0x20
MOUNT_ATTR_ATIME_MASK: Final = 0x70
MOUNT_ATTR_NODIRATIME: Final = 0x80
MOUNT_ATTR_IDMAP: Final = 0x100000
MOUNT_ATTR_NOSYMFOLLOW: Final = 0x200000

_FSCONFIG_SET_FLAG: Final = 0
_FSCONFIG_SET_STRING: Final = 1
_FSCONFIG_SET_FD: Final = 5
_FSCONFIG_CREATE: Final = 6
_LOG_BYTES: Final = 8192
STRING_LIMIT: Final = 255
"""Bytes that the kernel takes in one `set_string`."""


def open_tree(path: str, *, directory: int = AT_FDCWD, flags: int = 0) -> int:
    """open_tree(2), since 5.2: a descriptor of the mount at `path`, a detached copy with
    OPEN_TREE_CLONE (and AT_RECURSIVE for what is mounted below)."""
    words = (directory, os.fsencode(path), flags | os.O_CLOEXEC)
    return libc.syscall("open_tree", 428, *words, filename=path)


def move_mount(mount: int, target: str, *, directory: int = AT_FDCWD) -> None:
    """move_mount(2), since 5.2: attach the detached `mount`; an empty `target` means the
    object behind `directory` itself."""
    flags = MOVE_MOUNT_F_EMPTY_PATH | (0 if target else MOVE_MOUNT_T_EMPTY_PATH)
    words = (mount, b"", directory, os.fsencode(target), flags)
    libc.syscall("move_mount", 429, *words, filename=target)


def mount_setattr(mount: int, *, add: int = 0, clear: int = 0, propagation: int = 0,
                  users: int = 0, recursive: bool = False) -> None:  # fmt: skip
    """mount_setattr(2), since 5.12: MOUNT_ATTR_… bits of the mount behind a descriptor, and
    those below it if `recursive`; all or none are changed. `users` is the user namespace of
    MOUNT_ATTR_IDMAP."""
    attributes = bytearray()
    for word in (add, clear, propagation, users):
        attributes += word.to_bytes(8, sys.byteorder)
    flags = AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)
    libc.syscall("mount_setattr", 442, mount, b"", flags, attributes, len(attributes))


def fsopen(fstype: str) -> int:
    """fsopen(2), since 5.2: a context to configure a new file system in."""
    return libc.syscall("fsopen", 430, fstype.encode(), 1, filename=fstype)


def set_string(context: int, key: str, value: str) -> None:
    """fsconfig(2) with a string of at most STRING_LIMIT bytes."""
    _fsconfig(context, _FSCONFIG_SET_STRING, key, os.fsencode(value), 0)


def set_flag(context: int, key: str) -> None:
    """fsconfig(2) with an option that has no value."""
    _fsconfig(context, _FSCONFIG_SET_FLAG, key, None, 0)


def set_descriptor(context: int, key: str, descriptor: int) -> None:
    """fsconfig(2) with an open file; overlayfs takes its layers so since 6.13."""
    _fsconfig(context, _FSCONFIG_SET_FD, key, None, descriptor)


def create(context: int) -> None:
    """fsconfig(2): make the file system that was configured."""
    _fsconfig(context, _FSCONFIG_CREATE, "", None, 0)


def fsmount(context: int, attributes: int = 0) -> int:
    """fsmount(2), since 5.2: a detached mount of what `create` made."""
    return libc.syscall("fsmount", 432, context, 1, attributes)


def _fsconfig(context: int, command: int, key: str, value: bytes | None, number: int) -> None:
    name = key.encode() if key else None
    try:
        libc.syscall("fsconfig", 431, context, command, name, value, number, filename=key)
    except OSError as error:
        said = _log_of(context)
        if not said:
            raise
        code = error.errno or 0
        raise OSError(code, f"fsconfig: {os.strerror(code)}: {said}", key) from None


def _log_of(context: int) -> str:
    """What the kernel wrote about the failure ("e overlay: …"), one line."""
    said: list[str] = []
    try:
        while line := os.read(context, _LOG_BYTES):
            said.append(line.decode("utf-8", "replace").strip())
    except OSError:
        return "; ".join(said)  # ENODATA: read to the end
    return "; ".join(said)
