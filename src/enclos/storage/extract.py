"""Entries of an archive or a tree put below a directory, however hostile they are.

Each entry's parent is resolved inside the root by the kernel, links included, so neither `..`
nor a link nor a hard link leads out. Two sets of rules: a layer's, where the OCI marks
`.wh.NAME` and `.wh..wh..opq` become overlayfs's and the last of several entries of one name
wins; and a copy's, where directories are merged and nothing changes its kind.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Protocol

from enclos.errors import InvalidRequest
from enclos.linux import files
from enclos.linux.inroot import resolve_in_root
from enclos.storage import nodes
from enclos.storage.disk import disk_errors
from enclos.storage.tarheaders import Entry, Kind
from enclos.structs import dataclass

Parts = tuple[str, ...]
DirectoryLike = Callable[[str], nodes.Metadata | None]

OPAQUE: Final = "trusted.overlay.opaque"
_MARK: Final = ".wh."
_OPAQUE_MARK: Final = ".wh..wh..opq"
_META_MARK: Final = ".wh..wh."
_PARENT_FLAGS: Final = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_SPECIALS: Final = {Kind.CHARACTER: stat.S_IFCHR, Kind.BLOCK: stat.S_IFBLK, Kind.FIFO: stat.S_IFIFO}


class Source(Protocol):
    """Where entries come from: `chunks` gives the data of the one that was yielded last."""

    def __iter__(self) -> Iterator[Entry]:
        """Every entry, parents before children."""
        ...

    def chunks(self) -> Iterator[bytes]:
        """Its stored bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Rules:
    """How to place entries.

    `overlay`: as a layer, see above; otherwise as a copy. `owner` takes the place of the
    entries' own. Without `privileged`, set-id bits and capabilities are dropped and device
    nodes refused. `like` gives the attributes of a directory that is used but not contained.
    """

    overlay: bool
    owner: tuple[int, int] | None = None
    privileged: bool = True
    like: DirectoryLike = lambda _path: None


def extract(source: Source, root_fd: int, *, name: str, rules: Rules, base: Parts = ()) -> int:
    """Put all entries of `source` below the directory `base` in the root `root_fd`.

    Answers the number of bytes in their files. Raises `InvalidRequest` naming `name` and the
    entry, `HostUnfit` if the disk is full.
    """
    target = _Target(root_fd, base, name=name, rules=rules)
    total = 0
    try:
        for entry in source:
            target.add(entry, source)
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

    def __init__(self, root_fd: int, base: Parts, *, name: str, rules: Rules) -> None:
        self._root_fd = root_fd
        self._base = base
        self._name = name
        self._rules = rules
        self._parent: tuple[Parts, int] | None = None
        self._times: list[tuple[Parts, int]] = []
        self._hidden: set[Parts] = set()

    def add(self, entry: Entry, source: Source) -> None:
        """Put one entry; its data comes from `source`."""
        with disk_errors(f"{self._name}: cannot write {entry.name[:200]!r}"):
            try:
                self._add(entry, clean(entry.name), source)
            except ValueError as error:
                raise InvalidRequest(
                    f"{self._name}: entry {entry.name[:200]!r} refused: {error}",
                    hint="it is damaged or hostile, or changes while it is read",
                ) from error

    def finish(self) -> None:
        """Set the times of directories, which every entry put into them has changed."""
        for parts, mtime_ns in reversed(self._times):
            try:
                fd = self._resolve(parts, nodes.DIRECTORY_FLAGS)
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

    def _add(self, entry: Entry, parts: Parts, source: Source) -> None:
        if not parts:
            self._set_root(entry)
        elif self._rules.overlay and any(part.startswith(_META_MARK) for part in parts):
            if parts[-1] == _OPAQUE_MARK:
                self._set_opaque(self._open_parent(parts[:-1]))
        elif self._rules.overlay and parts[-1].startswith(_MARK):
            self._hide((*parts[:-1], parts[-1].removeprefix(_MARK)))
        else:
            self._place(entry, parts, source)

    def _set_root(self, entry: Entry) -> None:
        if entry.kind is not Kind.DIRECTORY:
            raise ValueError(f"a {entry.kind} in place of the root")
        if self._rules.overlay:
            nodes.set_directory(self._root_fd, ".", metadata=self._metadata(entry))
            self._times.append(((), entry.mtime_ns))

    def _place(self, entry: Entry, parts: Parts, source: Source) -> None:
        parent_fd = self._open_parent(parts[:-1])
        try:
            self._make(parent_fd, parts[-1], entry=entry, source=source)
        except FileExistsError:
            if not self._replace(parent_fd, parts, entry=entry, source=source):
                return
        if entry.kind is Kind.DIRECTORY:
            self._times.append((parts, entry.mtime_ns))
            if parts in self._hidden:
                self._set_opaque_child(parent_fd, parts[-1])

    def _replace(self, parent_fd: int, parts: Parts, *, entry: Entry, source: Source) -> bool:
        """Put `entry` where something is; whether its attributes are in force afterwards."""
        base = parts[-1]
        there = os.stat(base, dir_fd=parent_fd, follow_symlinks=False)
        is_directory = stat.S_ISDIR(there.st_mode)
        if entry.kind is Kind.DIRECTORY and is_directory:
            if self._rules.overlay:
                nodes.set_directory(parent_fd, base, metadata=self._metadata(entry))
            return self._rules.overlay
        if entry.kind is Kind.HARD_LINK and clean(entry.link) == parts:
            return False
        if not self._rules.overlay and is_directory != (entry.kind is Kind.DIRECTORY):
            raise ValueError(
                f"it would replace what is {'' if is_directory else 'not '}a directory"
            )
        parent_fd = os.dup(parent_fd)
        try:
            self.close()  # the cached parent may lie below what goes
            _remove(parent_fd, base)
            self._make(parent_fd, base, entry=entry, source=source)
        finally:
            os.close(parent_fd)
        return True

    def _make(self, parent_fd: int, base: str, *, entry: Entry, source: Source) -> None:
        metadata = self._metadata(entry)
        match entry.kind:
            case Kind.FILE:
                nodes.make_file(
                    parent_fd, base, metadata=metadata, write=lambda fd: _write(fd, entry, source)
                )
            case Kind.DIRECTORY:
                nodes.make_directory(parent_fd, base, metadata=metadata)
            case Kind.SYMLINK:
                nodes.make_symlink(parent_fd, base, target=entry.link, metadata=metadata)
            case Kind.HARD_LINK:
                self._link(parent_fd, base, clean(entry.link))
            case special:
                self._make_special(parent_fd, base, kind=special, entry=entry)

    def _make_special(self, parent_fd: int, base: str, *, kind: Kind, entry: Entry) -> None:
        if kind is not Kind.FIFO and not self._rules.privileged:
            raise ValueError(f"a {kind} is copied in archive mode only")
        device = (0, 0) if kind is Kind.FIFO else entry.device
        nodes.make_special(
            parent_fd, base, kind=_SPECIALS[kind], device=device, metadata=self._metadata(entry)
        )

    def _metadata(self, entry: Entry) -> nodes.Metadata:
        uid, gid = self._rules.owner or (entry.uid, entry.gid)
        if self._rules.privileged:
            return nodes.Metadata(entry.mode, uid, gid, entry.mtime_ns, entry.xattrs)
        xattrs = {k: v for k, v in entry.xattrs.items() if not k.startswith("security.")}
        return nodes.Metadata(entry.mode & 0o1777, uid, gid, entry.mtime_ns, xattrs)

    def _link(self, parent_fd: int, base: str, target: Parts) -> None:
        if not target:
            raise ValueError("a hard link to the root")
        source_fd = self._resolve(target[:-1], _PARENT_FLAGS)
        try:
            os.link(
                target[-1], base, src_dir_fd=source_fd, dst_dir_fd=parent_fd, follow_symlinks=False
            )
        finally:
            os.close(source_fd)

    def _resolve(self, parts: Parts, flags: int) -> int:
        return resolve_in_root(self._root_fd, "/".join((*self._base, *parts)), flags=flags)

    def _open_parent(self, parts: Parts) -> int:
        if self._parent is not None and self._parent[0] == parts:
            return self._parent[1]
        self.close()
        try:
            fd = self._resolve(parts, _PARENT_FLAGS)
        except (FileNotFoundError, NotADirectoryError):
            self._make_parents(parts)
            fd = self._resolve(parts, _PARENT_FLAGS)
        self._parent = (parts, fd)
        return fd

    def _make_parents(self, parts: Parts) -> None:
        """Make the directories that the archive only implies, each like the layer's below."""
        for depth in range(1, len(parts) + 1):
            fd = self._resolve(parts[: depth - 1], _PARENT_FLAGS)
            try:
                self._make_implied(fd, parts[:depth])
            finally:
                os.close(fd)

    def _make_implied(self, parent_fd: int, parts: Parts) -> None:
        metadata = self._rules.like("/".join(parts)) or nodes.Metadata(0o755, 0, 0, 0)
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


def _remove(parent_fd: int, base: str) -> None:
    files.remove_tree(Path(nodes.by_descriptor(parent_fd, base)))


def _is_whiteout(parent_fd: int, base: str) -> bool:
    status = os.stat(base, dir_fd=parent_fd, follow_symlinks=False)
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def _write(fd: int, entry: Entry, source: Source) -> None:
    if entry.extents is None:
        nodes.write_all(fd, source.chunks())
        return
    nodes.write_sparse(fd, source.chunks(), extents=entry.extents, length_bytes=entry.length_bytes)
