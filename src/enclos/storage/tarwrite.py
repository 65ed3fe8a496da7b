"""Entries written as a tar archive, for `cp CONTAINER:PATH -`."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import Final

from enclos.storage import nodes
from enclos.storage.disk import disk_errors
from enclos.storage.tarheaders import BLOCK_BYTES, Entry, Kind
from enclos.storage.walk import TreeWalker

_ZEROS: Final = bytes(1 << 20)
_TYPES: Final = {
    Kind.FILE: tarfile.REGTYPE,
    Kind.DIRECTORY: tarfile.DIRTYPE,
    Kind.SYMLINK: tarfile.SYMTYPE,
    Kind.HARD_LINK: tarfile.LNKTYPE,
    Kind.CHARACTER: tarfile.CHRTYPE,
    Kind.BLOCK: tarfile.BLKTYPE,
    Kind.FIFO: tarfile.FIFOTYPE,
}


def write_archive(walker: TreeWalker, output_fd: int) -> None:
    """Write all entries to a descriptor; holes become zeros, which every reader takes.

    Raises `InvalidRequest` if nobody reads, `HostUnfit` for a full disk.
    """
    for entry in walker:
        _write(output_fd, [_header(entry)])
        _write(output_fd, _dense(walker, entry))
        _write(output_fd, [bytes(-entry.length_bytes % BLOCK_BYTES)])
    _write(output_fd, [bytes(2 * BLOCK_BYTES)])


def _header(entry: Entry) -> bytes:
    info = tarfile.TarInfo(entry.name)
    info.type = _TYPES[entry.kind]
    info.mode = entry.mode
    info.uid, info.gid = entry.uid, entry.gid
    info.size = entry.length_bytes
    info.mtime = entry.mtime_ns // 10**9
    info.linkname = entry.link
    info.devmajor, info.devminor = entry.device
    info.pax_headers = {
        f"SCHILY.xattr.{key}": value.decode("utf-8", "surrogateescape")
        for key, value in entry.xattrs.items()
        if "=" not in key  # it would end the key
    }
    if entry.mtime_ns % 10**9:
        seconds, nanoseconds = divmod(abs(entry.mtime_ns), 10**9)
        sign = "-" if entry.mtime_ns < 0 else ""
        info.pax_headers["mtime"] = f"{sign}{seconds}.{nanoseconds:09}"
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _dense(walker: TreeWalker, entry: Entry) -> Iterator[bytes]:
    """The file's bytes, its holes included."""
    if entry.extents is None:
        yield from walker.chunks()
        return
    chunks = walker.chunks()
    at = 0
    for offset, size in entry.extents:
        yield from _zeros(offset - at)
        at = offset + size
        while size:
            data = next(chunks)
            size -= len(data)
            yield data
    yield from _zeros(entry.length_bytes - at)


def _zeros(count: int) -> Iterator[bytes]:
    while count > 0:
        yield _ZEROS[:count]
        count -= len(_ZEROS)


def _write(fd: int, chunks: Iterator[bytes] | list[bytes]) -> None:
    with disk_errors("cannot write the archive"):
        nodes.write_all(fd, chunks)
