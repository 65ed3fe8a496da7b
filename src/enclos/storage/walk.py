"""A tree of files as entries, the counterpart of `extract`: safe while a guest changes it.

Directories are opened one below the other without following links; files are opened only if
they are regular, so that no fifo or device blocks. Sockets are left out: they mean nothing
elsewhere.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

from enclos import log
from enclos.linux import files, libc
from enclos.storage import nodes
from enclos.storage.disk import disk_errors
from enclos.storage.tarheaders import Entry, Extents, Kind

_CHUNK_BYTES: Final = 1 << 20
_LOOK_FLAGS: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_READ_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_KINDS: Final = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFDIR: Kind.DIRECTORY,
    stat.S_IFLNK: Kind.SYMLINK,
    stat.S_IFCHR: Kind.CHARACTER,
    stat.S_IFBLK: Kind.BLOCK,
    stat.S_IFIFO: Kind.FIFO,
}


class TreeWalker:
    """Iterate over the entries of the tree `base` in the directory `parent_fd`.

    Its top goes by `name`; with the name `.` only what is in it matters. Files with several
    names are hard links after the first.
    """

    def __init__(self, parent_fd: int, base: str, *, name: str) -> None:
        self._parent_fd = parent_fd
        self._base = base
        self._name = name
        self._seen: dict[tuple[int, int], str] = {}
        self._file: tuple[int, Entry] | None = None

    def __iter__(self) -> Iterator[Entry]:
        pending = [(self._base, self._name)]
        while pending:
            path, name = pending.pop()
            with disk_errors(f"cannot read {path!r}"):
                entry, inside = self._look(path, name)
            pending += ((f"{path}/{item}", f"{name}/{item}") for item in reversed(inside))
            try:
                if entry is not None:
                    yield entry
            finally:
                self._close()

    def chunks(self) -> Iterator[bytes]:
        """The data of the current file: exactly as much as its entry says."""
        if self._file is None:
            return
        fd, entry = self._file
        extents = ((0, entry.length_bytes),) if entry.extents is None else entry.extents
        for offset, size in extents:
            while size:
                with disk_errors(f"cannot read {entry.name!r}"):
                    data = os.pread(fd, min(size, _CHUNK_BYTES), offset)
                if not data:  # cut short meanwhile: zeros, as tar(1) does
                    data = bytes(min(size, _CHUNK_BYTES))
                yield data
                offset, size = offset + len(data), size - len(data)

    def _look(self, path: str, name: str) -> tuple[Entry | None, list[str]]:
        """The entry of one object, and the names in it if it is a directory."""
        try:
            fd = self._open(path, _LOOK_FLAGS)
        except FileNotFoundError:
            if path == self._base:
                raise
            return None, []  # removed meanwhile
        try:
            status = os.fstat(fd)
            kind = _KINDS.get(stat.S_IFMT(status.st_mode))
            if kind is None:
                log.info("socket left out of a copy", path=path)
                return None, []
            return self._describe(fd, path, name=name, kind=kind, status=status)
        finally:
            os.close(fd)

    def _describe(
        self, look_fd: int, path: str, *, name: str, kind: Kind, status: os.stat_result
    ) -> tuple[Entry | None, list[str]]:
        if kind is not Kind.DIRECTORY and status.st_nlink > 1:
            first = self._seen.setdefault((status.st_dev, status.st_ino), name)
            if first != name:
                return _entry(name, Kind.HARD_LINK, status, link=first), []
        if kind is Kind.SYMLINK:
            return _entry(name, kind, status, link=os.readlink("", dir_fd=look_fd)), []
        if kind not in {Kind.FILE, Kind.DIRECTORY}:
            return _entry(name, kind, status), []
        with ExitStack() as undo:
            fd = self._open(path, _READ_FLAGS)
            undo.callback(os.close, fd)
            if kind is Kind.DIRECTORY:
                with os.scandir(fd) as found:
                    inside = sorted(item.name for item in found)
                return _entry(name, kind, os.fstat(fd), xattrs=nodes.xattrs_of(fd)), inside
            entry = self._hold(fd, name, status)
            if entry is not None:
                undo.pop_all()
            return entry, []

    def _hold(self, fd: int, name: str, looked: os.stat_result) -> Entry | None:
        """A file's entry, the file kept open for `chunks`."""
        status = os.fstat(fd)
        if (status.st_dev, status.st_ino) != (looked.st_dev, looked.st_ino):
            log.info("file left out of a copy: replaced meanwhile", path=name)
            return None
        extents = _extents(fd, status.st_size)
        entry = _entry(
            name,
            Kind.FILE,
            status,
            xattrs=nodes.xattrs_of(fd),
            extents=extents,
            length=status.st_size,
        )
        self._file = (fd, entry)
        return entry

    def _open(self, path: str, flags: int) -> int:
        resolve = libc.RESOLVE_NO_SYMLINKS | libc.RESOLVE_BENEATH
        if flags & os.O_PATH:  # a link itself may be looked at, not gone through
            above, _, last = path.rpartition("/")
            parent = libc.openat2(
                self._parent_fd, above or ".", flags=os.O_PATH | os.O_DIRECTORY, resolve=resolve
            )
            try:
                return os.open(last, flags, dir_fd=parent)
            finally:
                os.close(parent)
        return libc.openat2(self._parent_fd, path, flags=flags, resolve=resolve)

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file[0])
            self._file = None


def _extents(fd: int, size: int) -> Extents | None:
    """The parts of a file that are not holes; `None` if there is no hole."""
    found = tuple((start, end - start) for start, end in files.data_ranges(fd))
    return None if found == ((0, size),) or not size else found


def _entry(
    name: str,
    kind: Kind,
    status: os.stat_result,
    *,
    link: str = "",
    xattrs: dict[str, bytes] | None = None,
    extents: Extents | None = None,
    length: int = 0,
) -> Entry:
    stored = length if extents is None else sum(size for _, size in extents)
    return Entry(
        name=name,
        kind=kind,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        size_bytes=stored,
        length_bytes=length,
        mtime_ns=status.st_mtime_ns,
        link=link,
        device=(os.major(status.st_rdev), os.minor(status.st_rdev)),
        xattrs=xattrs or {},
        extents=extents,
    )
