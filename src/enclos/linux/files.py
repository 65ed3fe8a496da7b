"""Files: whole or not at all, bounded reads, locks, sparse copies, removal of trees."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from enclos.errors import InvalidRequest, TimedOut
from enclos.linux import libc

_PAGE: Final = 4096
_CHUNK: Final = 1 << 20
_ZERO_PAGE: Final = bytes(_PAGE)
_ZERO_CHUNK: Final = bytes(_CHUNK)
_POLL_S: Final = 0.02


def write_atomic(
    path: Path, data: bytes, *, mode: int = 0o600, sync: bool = False, new: bool = False
) -> None:
    """Write `path` so that a reader sees the old content or all of the new.

    `sync` makes it survive a crash of the machine; with `new` there must be no such file yet
    (`FileExistsError`). Raises `OSError`; no partial file stays.
    """
    scratch = path.with_name(f".{path.name}.{os.urandom(6).hex()}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(scratch, flags, mode)
    try:
        with os.fdopen(descriptor, "wb", closefd=True) as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        if new:
            os.link(scratch, path)
            scratch.unlink()
        else:
            os.rename(scratch, path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
    if sync:
        sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make the entries of a directory survive a crash of the machine."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_bounded(path: Path | str, limit: int) -> bytes:
    """The content of a regular file; raises `InvalidRequest` over `limit` bytes.

    A fifo or device is refused rather than waited for.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InvalidRequest(f"{os.fspath(path)} is not a regular file")
        data = file.read(limit + 1)
    if len(data) > limit:
        raise InvalidRequest(f"{os.fspath(path)} is larger than {limit} bytes")
    return data


@contextmanager
def locked(path: Path, *, timeout_s: float, shared: bool = False) -> Iterator[None]:
    """Hold the lock file `path` (made if missing, left in place); raises `TimedOut`.

    It ends with the process, whatever kills it, unless a child forked meanwhile lives on with
    the descriptor, which does not survive an exec.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        _wait_lock(descriptor, path, timeout_s=timeout_s, shared=shared)
        try:
            yield
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # closing would leave it to forked children
    finally:
        os.close(descriptor)


def _wait_lock(descriptor: int, path: Path, *, timeout_s: float, shared: bool) -> None:
    deadline = time.monotonic() + timeout_s
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise TimedOut(
                    f"somebody else holds the lock {path} for more than {timeout_s:g} s",
                    hint=f"see who: fuser -v {path}",
                ) from None
            time.sleep(_POLL_S)
        else:
            return


def remove_tree(path: Path) -> bool:
    """Remove `path` and everything below; False if it was not there.

    Follows no symbolic link and crosses no mount, bind mounts included: then `OSError`
    (`EXDEV`, `EBUSY`). Needs neither memory nor descriptors for depth, since a guest may have
    nested directories by the thousand: what lies deeper is first moved up (Linux 5.6).
    """
    try:
        parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        if _unlink(parent, path.name):
            return True
        top = _enter(parent, path.name)
        try:
            while names := os.listdir(top):
                for name in names:
                    _flatten(top, name)
        finally:
            os.close(top)
        os.rmdir(path.name, dir_fd=parent)
    except FileNotFoundError:
        return False
    finally:
        os.close(parent)
    return True


def _flatten(top: int, name: str) -> None:
    """Remove `name` from `top`, moving the directories in it to `top`."""
    if _unlink(top, name):
        return
    here = _enter(top, name)
    try:
        token = os.urandom(8).hex()
        for number, entry in enumerate(os.listdir(here)):
            if not _unlink(here, entry):
                os.rename(entry, f".{token}-{number}", src_dir_fd=here, dst_dir_fd=top)
    finally:
        os.close(here)
    os.rmdir(name, dir_fd=top)


def _unlink(directory: int, name: str) -> bool:
    """Remove anything but a directory; False for one."""
    try:
        os.unlink(name, dir_fd=directory)
    except IsADirectoryError:
        return False
    return True


def _enter(directory: int, name: str) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    resolve = libc.RESOLVE_NO_XDEV | libc.RESOLVE_NO_SYMLINKS | libc.RESOLVE_BENEATH
    return libc.openat2(directory, name, flags=flags, resolve=resolve)


def data_ranges(descriptor: int) -> Iterator[tuple[int, int]]:
    """The (start, end) ranges of a file that are not holes; the file offset is moved."""
    position, end = 0, os.fstat(descriptor).st_size
    while position < end:
        try:
            start = os.lseek(descriptor, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return  # only a hole is left
            raise
        position = os.lseek(descriptor, start, os.SEEK_HOLE)
        yield start, position


def copy_sparse(source: int, target: int) -> int:
    """Copy the data of one file, not its holes, to the same places of another; bytes copied.

    Within the kernel, page cache to page cache. `target`, which must read as zeros, becomes at
    least as long as `source`.
    """
    size = os.fstat(source).st_size
    if os.fstat(target).st_size < size:
        os.ftruncate(target, size)
    copied = 0
    for start, end in data_ranges(source):
        os.lseek(target, start, os.SEEK_SET)
        while start < end:
            count = os.sendfile(target, source, start, end - start)
            if count == 0:
                return copied  # the source was cut short meanwhile
            start += count
            copied += count
    return copied


def copy_nonzero(source: int, target: int) -> int:
    """Like `copy_sparse`, leaving out pages of zeros as well; bytes that are not zero pages."""
    size = os.fstat(source).st_size
    os.ftruncate(target, size)
    copied = 0
    for start, data in _nonzero_runs(source):
        _write_all(target, data, start)
        copied += len(data)
    return copied


def punch_zero_pages(descriptor: int) -> int:
    """Turn the zero pages of a file into holes; bytes that are left."""
    kept = 0
    for start, end in list(data_ranges(descriptor)):
        position = start
        for found, data in _runs_in(descriptor, start, end):
            _punch(descriptor, position, found)
            position = found + len(data)
            kept += len(data)
        _punch(descriptor, position, end)
    return kept


def _punch(descriptor: int, start: int, end: int) -> None:
    if end > start:
        mode = libc.FALLOC_FL_PUNCH_HOLE | libc.FALLOC_FL_KEEP_SIZE
        libc.fallocate(descriptor, mode, offset=start, length=end - start)


def _nonzero_runs(descriptor: int) -> Iterator[tuple[int, bytes]]:
    for start, end in data_ranges(descriptor):
        yield from _runs_in(descriptor, start, end)


def _runs_in(descriptor: int, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """The (place, bytes) of the runs of pages between `start` and `end` that hold anything."""
    while start < end:
        chunk = os.pread(descriptor, min(_CHUNK, end - start), start)
        if not chunk:
            return
        if chunk != _ZERO_CHUNK[: len(chunk)]:
            yield from _runs(chunk, start)
        start += len(chunk)


def _runs(chunk: bytes, place: int) -> Iterator[tuple[int, bytes]]:
    begin = -1
    for at in range(0, len(chunk), _PAGE):
        page = chunk[at : at + _PAGE]
        if page != _ZERO_PAGE[: len(page)]:
            begin = at if begin < 0 else begin
        elif begin >= 0:
            yield place + begin, chunk[begin:at]
            begin = -1
    if begin >= 0:
        yield place + begin, chunk[begin:]


def _write_all(descriptor: int, data: bytes, place: int) -> None:
    view = memoryview(data)
    while view:
        count = os.pwrite(descriptor, view, place)
        view = view[count:]
        place += count
