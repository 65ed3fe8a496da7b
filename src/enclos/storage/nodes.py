"""One file-system object made below an open directory, with all its attributes.

Every function takes (directory descriptor, name in it) and never follows a link at `name`, so
what it touches lies in that directory. Nothing here replaces what exists: `FileExistsError`.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from typing import Final

from enclos.structs import dataclass

Extents = tuple[tuple[int, int], ...]

NO_XATTR: Final = frozenset({errno.ENOTSUP, errno.EPERM, errno.EOPNOTSUPP})
"""user.* is refused on links and devices, and some file systems have no attributes at all."""
_KEPT_XATTRS: Final = frozenset(
    {"security.capability", "system.posix_acl_access", "system.posix_acl_default"}
)
_MAX_TIME_S: Final = 1 << 40
_MAX_MAJOR: Final = 1 << 12
_MAX_MINOR: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Metadata:
    """Attributes of an object; `xattrs` beyond the harmless ones are dropped when applied."""

    mode: int
    uid: int
    gid: int
    mtime_ns: int
    xattrs: Mapping[str, bytes] = field(default_factory=dict[str, bytes])


def of_stat(status: os.stat_result, xattrs: Mapping[str, bytes]) -> Metadata:
    """The attributes that `stat` found."""
    mode = stat.S_IMODE(status.st_mode)
    return Metadata(mode, status.st_uid, status.st_gid, status.st_mtime_ns, xattrs)


def make_file(
    parent_fd: int,
    name: str,
    *,
    metadata: Metadata,
    write: Callable[[int], None],
) -> None:
    """A regular file whose content `write` puts into the descriptor it is given."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(name, flags, 0o600, dir_fd=parent_fd)
    try:
        write(fd)
        apply(fd, metadata)
    finally:
        os.close(fd)


def make_directory(parent_fd: int, name: str, *, metadata: Metadata) -> None:
    """A directory; its time is lost again when something is put into it."""
    os.mkdir(name, 0o700, dir_fd=parent_fd)
    set_directory(parent_fd, name, metadata=metadata)


def set_directory(parent_fd: int, name: str, *, metadata: Metadata) -> None:
    """Give an existing directory these attributes."""
    fd = os.open(name, DIRECTORY_FLAGS, dir_fd=parent_fd)
    try:
        apply(fd, metadata)
    finally:
        os.close(fd)


def make_symlink(parent_fd: int, name: str, *, target: str, metadata: Metadata) -> None:
    """A symbolic link; its target may say anything."""
    os.symlink(target, name, dir_fd=parent_fd)
    _apply_by_name(parent_fd, name, metadata)


def make_special(
    parent_fd: int, name: str, *, kind: int, device: tuple[int, int], metadata: Metadata
) -> None:
    """A device node or fifo; `kind` is one of stat's S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK."""
    major, minor = device
    if not (0 <= major < _MAX_MAJOR and 0 <= minor < _MAX_MINOR):
        raise OSError(errno.EINVAL, f"device number {major}:{minor}")
    os.mknod(name, kind | 0o600, os.makedev(major, minor), dir_fd=parent_fd)
    _apply_by_name(parent_fd, name, metadata)
    fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent_fd)
    try:
        if not stat.S_ISLNK(os.fstat(fd).st_mode):  # a guest may have put a link in its place
            os.chmod(f"/proc/self/fd/{fd}", metadata.mode)
    finally:
        os.close(fd)


def apply(fd: int, metadata: Metadata) -> None:
    """Set all attributes through a descriptor: owner first, which clears the others."""
    os.fchown(fd, metadata.uid, metadata.gid)
    for name, value in metadata.xattrs.items():
        _set_xattr(fd, name, value)
    os.fchmod(fd, metadata.mode)
    os.utime(fd, ns=_times(metadata))


def xattrs_of(target: int | str) -> dict[str, bytes]:
    """The attributes worth keeping of an open object, or of a path itself if it is a link."""
    try:
        names = os.listxattr(target, follow_symlinks=isinstance(target, int))
    except OSError as error:
        if error.errno in NO_XATTR:
            return {}
        raise
    return {
        name: os.getxattr(target, name, follow_symlinks=isinstance(target, int))
        for name in names
        if is_kept(name)
    }


def is_kept(name: str) -> bool:
    """Whether an extended attribute is carried over.

    trusted.* never is: trusted.overlay.* steers the file system. Labels of the host's
    security modules are not the image's business either.
    """
    return name in _KEPT_XATTRS or name.startswith("user.")


def write_all(fd: int, chunks: Iterable[bytes]) -> int:
    """Write every chunk completely; the number of bytes written."""
    total = 0
    for chunk in chunks:
        view = memoryview(chunk)
        while view:
            view = view[os.write(fd, view) :]
        total += len(chunk)
    return total


def write_sparse(fd: int, chunks: Iterable[bytes], *, extents: Extents, length_bytes: int) -> None:
    """Write the stored bytes to where `extents` say; raises `ValueError` if they do not fit."""
    os.ftruncate(fd, length_bytes)
    pending = memoryview(b"")
    source = iter(chunks)
    for offset, size in extents:
        if size < 0 or offset < 0 or offset + size > length_bytes:
            raise ValueError("a sparse extent beyond the file's end")
        while size:
            pending = pending or memoryview(next(source, b""))
            if not pending:
                raise ValueError("less data than its sparse map says")
            written = os.pwrite(fd, pending[:size], offset)
            pending, offset, size = pending[written:], offset + written, size - written


def by_descriptor(parent_fd: int, name: str) -> str:
    """A path to `name` for the calls that take no directory descriptor."""
    return f"/proc/self/fd/{parent_fd}/{name}"


DIRECTORY_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def _apply_by_name(parent_fd: int, name: str, metadata: Metadata) -> None:
    os.chown(name, metadata.uid, metadata.gid, dir_fd=parent_fd, follow_symlinks=False)
    for key, value in metadata.xattrs.items():
        _set_xattr(by_descriptor(parent_fd, name), key, value)
    os.utime(name, ns=_times(metadata), dir_fd=parent_fd, follow_symlinks=False)


def _set_xattr(target: int | str, name: str, value: bytes) -> None:
    if not is_kept(name):
        return
    try:
        os.setxattr(target, name, value, follow_symlinks=isinstance(target, int))
    except OSError as error:
        if error.errno not in NO_XATTR:
            raise


def _times(metadata: Metadata) -> tuple[int, int]:
    limit = _MAX_TIME_S * 10**9
    value = max(-limit, min(limit, metadata.mtime_ns))
    return value, value
