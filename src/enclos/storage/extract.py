"""Entries of an archive put below a directory, however hostile they are.

Each entry's parent is resolved inside the root by the kernel, links included, so neither `..`
nor a link nor a hard link leads out. With `whiteouts` the OCI marks `.wh.NAME` and
`.wh..wh..opq` become overlayfs's. The last of several entries of one name wins.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from enclos.errors import InvalidRequest
from enclos.linux import files
from enclos.linux.inroot import resolve_in_root
from enclos.storage import nodes
from enclos.storage.disk import disk_errors
from enclos.storage.tarheaders import Entry, Kind
from enclos.storage.tarstream import TarReader

Parts = tuple[str, ...]
DirectoryLike = Callable[[str], nodes.Metadata | None]

OPAQUE: Final = "trusted.overlay.opaque"
_MARK: Final = ".wh."
_OPAQUE_MARK: Final = ".wh..wh..opq"
_META_MARK: Final = ".wh..wh."
_PARENT_FLAGS: Final = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_SPECIALS: Final = {Kind.CHARACTER: stat.S_IFCHR, Kind.BLOCK: stat.S_IFBLK, Kind.FIFO: stat.S_IFIFO}


def extract(
    reader: TarReader, root_fd: int, *, name: str, whiteouts: bool, like: DirectoryLike
) -> int:
    """Put all entries of `reader` below `root_fd`; the number of bytes in its files.

    `like` gives the attributes of a directory that the archive uses but does not contain.
    Raises `InvalidRequest` naming `name` and the entry, `HostUnfit` if the disk is full.
    """
    target = _Target(root_fd, name=name, whiteouts=whiteouts, like=like)
    total = 0
    try:
        for entry in reader:
            target.add(entry, reader)
            total += entry.length_bytes
        target.finish()
    finally:
        target.close()
    return total


def clean(name: str) -> Parts:
    """The components of an entry's name below the root; raises `ValueError` if it leads out."""
    parts: list[str] = []
    for part in name.split("/"):
        if part == "..":
            if not parts:
                raise ValueError("its name leads out of the root")
            parts.pop()
        elif part not in {"", "."}:
            parts.append(part)
    if "\0" in name:
        raise ValueError("its name contains a NUL")
    return tuple(parts)


class _Target:
    """The directory being filled: the last parent kept open, and what is due at the end."""

    def __init__(self, root_fd: int, *, name: str, whiteouts: bool, like: DirectoryLike) -> None:
        self._root_fd = root_fd
        self._name = name
        self._whiteouts = whiteouts
        self._like = like
        self._parent: tuple[Parts, int] | None = None
        self._times: list[tuple[Parts, int]] = []
        self._hidden: set[Parts] = set()

    def add(self, entry: Entry, reader: TarReader) -> None:
        """Put one entry; its data comes from `reader`."""
        with disk_errors(f"{self._name}: cannot unpack {entry.name[:200]!r}"):
            try:
                self._add(entry, clean(entry.name), reader)
            except ValueError as error:
                raise InvalidRequest(
                    f"{self._name}: entry {entry.name[:200]!r} refused: {error}",
                    hint="the archive is damaged or hostile; get it from elsewhere",
                ) from error

    def finish(self) -> None:
        """Set the times of directories, which every entry put into them has changed."""
        for parts, mtime_ns in reversed(self._times):
            try:
                fd = resolve_in_root(self._root_fd, "/".join(parts), flags=nodes.DIRECTORY_FLAGS)
            except OSError:
                continue  # replaced by a later entry
            try:
                os.utime(fd, ns=(mtime_ns, mtime_ns))
            finally:
                os.close(fd)

    def close(self) -> None:
        """Let go of the cached parent."""
        if self._parent is not None:
            os.close(self._parent[1])
            self._parent = None

    def _add(self, entry: Entry, parts: Parts, reader: TarReader) -> None:
        if not parts:
            self._set_root(entry)
        elif self._whiteouts and any(part.startswith(_META_MARK) for part in parts):
            if parts[-1] == _OPAQUE_MARK:
                self._set_opaque(self._open_parent(parts[:-1]))
        elif self._whiteouts and parts[-1].startswith(_MARK):
            self._hide((*parts[:-1], parts[-1].removeprefix(_MARK)))
        else:
            self._place(entry, parts, reader)

    def _set_root(self, entry: Entry) -> None:
        if entry.kind is not Kind.DIRECTORY:
            raise ValueError(f"a {entry.kind} in place of the root")
        nodes.set_directory(self._root_fd, ".", metadata=_metadata(entry))
        self._times.append(((), _metadata(entry).mtime_ns))

    def _place(self, entry: Entry, parts: Parts, reader: TarReader) -> None:
        parent_fd = self._open_parent(parts[:-1])
        try:
            self._make(parent_fd, parts[-1], entry=entry, reader=reader)
        except FileExistsError:
            self._replace(parent_fd, parts, entry=entry, reader=reader)
        if entry.kind is Kind.DIRECTORY:
            self._times.append((parts, _metadata(entry).mtime_ns))
            if parts in self._hidden:
                self._set_opaque_child(parent_fd, parts[-1])

    def _replace(self, parent_fd: int, parts: Parts, *, entry: Entry, reader: TarReader) -> None:
        base = parts[-1]
        status = os.stat(base, dir_fd=parent_fd, follow_symlinks=False)
        if entry.kind is Kind.DIRECTORY and stat.S_ISDIR(status.st_mode):
            nodes.set_directory(parent_fd, base, metadata=_metadata(entry))
            return
        if entry.kind is Kind.HARD_LINK and clean(entry.link) == parts:
            return
        parent_fd = os.dup(parent_fd)
        try:
            self.close()  # the cached parent may lie below what goes
            _remove(parent_fd, base)
            self._make(parent_fd, base, entry=entry, reader=reader)
        finally:
            os.close(parent_fd)

    def _make(self, parent_fd: int, base: str, *, entry: Entry, reader: TarReader) -> None:
        metadata = _metadata(entry)
        match entry.kind:
            case Kind.FILE:
                nodes.make_file(
                    parent_fd, base, metadata=metadata, write=lambda fd: _write(fd, entry, reader)
                )
            case Kind.DIRECTORY:
                nodes.make_directory(parent_fd, base, metadata=metadata)
            case Kind.SYMLINK:
                nodes.make_symlink(parent_fd, base, target=entry.link, metadata=metadata)
            case Kind.HARD_LINK:
                self._link(parent_fd, base, clean(entry.link))
            case special:
                nodes.make_special(
                    parent_fd,
                    base,
                    kind=_SPECIALS[special],
                    device=(0, 0) if special is Kind.FIFO else entry.device,
                    metadata=metadata,
                )

    def _link(self, parent_fd: int, base: str, target: Parts) -> None:
        if not target:
            raise ValueError("a hard link to the root")
        source_fd = resolve_in_root(self._root_fd, "/".join(target[:-1]), flags=_PARENT_FLAGS)
        try:
            os.link(
                target[-1], base, src_dir_fd=source_fd, dst_dir_fd=parent_fd, follow_symlinks=False
            )
        finally:
            os.close(source_fd)

    def _open_parent(self, parts: Parts) -> int:
        if self._parent is not None and self._parent[0] == parts:
            return self._parent[1]
        self.close()
        path = "/".join(parts)
        try:
            fd = resolve_in_root(self._root_fd, path, flags=_PARENT_FLAGS)
        except (FileNotFoundError, NotADirectoryError):
            self._make_parents(parts)
            fd = resolve_in_root(self._root_fd, path, flags=_PARENT_FLAGS)
        self._parent = (parts, fd)
        return fd

    def _make_parents(self, parts: Parts) -> None:
        """Make the directories that the archive only implies, each like the layer's below."""
        for depth in range(1, len(parts) + 1):
            fd = resolve_in_root(self._root_fd, "/".join(parts[: depth - 1]), flags=_PARENT_FLAGS)
            try:
                self._make_implied(fd, parts[:depth])
            finally:
                os.close(fd)

    def _make_implied(self, parent_fd: int, parts: Parts) -> None:
        metadata = self._like("/".join(parts)) or nodes.Metadata(0o755, 0, 0, 0)
        try:
            nodes.make_directory(parent_fd, parts[-1], metadata=metadata)
        except FileExistsError:
            if parts not in self._hidden or not _is_whiteout(parent_fd, parts[-1]):
                return
            _remove(parent_fd, parts[-1])
            nodes.make_directory(parent_fd, parts[-1], metadata=metadata)
            self._set_opaque_child(parent_fd, parts[-1])
        self._times.append((parts, metadata.mtime_ns))

    def _hide(self, parts: Parts) -> None:
        """A whiteout: a device 0:0, or an opaque mark if this layer has a directory there."""
        if parts[-1] in {"", ".", ".."}:
            raise ValueError("a whiteout of nothing")
        self._hidden.add(parts)
        parent_fd = self._open_parent(parts[:-1])
        try:
            os.mknod(parts[-1], stat.S_IFCHR, os.makedev(0, 0), dir_fd=parent_fd)
        except FileExistsError:
            status = os.stat(parts[-1], dir_fd=parent_fd, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                self._set_opaque_child(parent_fd, parts[-1])

    def _set_opaque(self, parent_fd: int) -> None:
        os.setxattr(nodes.by_descriptor(parent_fd, "."), OPAQUE, b"y")

    def _set_opaque_child(self, parent_fd: int, base: str) -> None:
        os.setxattr(nodes.by_descriptor(parent_fd, base), OPAQUE, b"y", follow_symlinks=False)


def _metadata(entry: Entry) -> nodes.Metadata:
    return nodes.Metadata(entry.mode, entry.uid, entry.gid, entry.mtime_ns, entry.xattrs)


def _remove(parent_fd: int, base: str) -> None:
    files.remove_tree(Path(nodes.by_descriptor(parent_fd, base)))


def _is_whiteout(parent_fd: int, base: str) -> bool:
    status = os.stat(base, dir_fd=parent_fd, follow_symlinks=False)
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def _write(fd: int, entry: Entry, reader: TarReader) -> None:
    if entry.extents is None:
        nodes.write_all(fd, reader.chunks())
        return
    nodes.write_sparse(fd, reader.chunks(), extents=entry.extents, length_bytes=entry.length_bytes)
