"""Blobs read with their digests checked, and packed layers opened as plain archives.

The compression is told from the first bytes, not from the media type, which builders get
wrong. gzip, bzip2 and xz are unpacked by the standard library, zstd by the program `zstd`.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol, cast

from enclos.errors import HostUnfit, InvalidRequest
from enclos.linux import process
from enclos.storage.manifest import MAX_JSON_BYTES, broken, digest_of

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_BUFFER_BYTES: Final = 1 << 20
_INPUT_BYTES: Final = 1 << 16
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE: Final = tuple(bytes((0x50 + n, 0x2A, 0x4D, 0x18)) for n in range(16))


class Raw(Protocol):
    """What a stage of unpacking needs of the one before."""

    def readinto(self, buffer: WriteableBuffer, /) -> int | None:
        """Fill the buffer; the number of bytes, 0 at the end."""
        ...


class Digesting(io.RawIOBase):
    """A stream that passes bytes on and remembers their digest."""

    def __init__(self, source: Raw) -> None:
        self._source = source
        self._hash = hashlib.sha256()

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read from the source; see `io.RawIOBase`."""
        count = self._source.readinto(buffer) or 0
        self._hash.update(memoryview(buffer)[:count])
        return count

    @property
    def digest(self) -> str:
        """Digest of all that was read so far."""
        return "sha256:" + self._hash.hexdigest()


class Inflating(io.RawIOBase):
    """The content of a gzip stream of one or more members."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._inflate = zlib.decompressobj(wbits=31)
        self._input = b""

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Inflate some; raises `zlib.error` or `EOFError` for a damaged stream."""
        view = memoryview(buffer)
        while not self._inflate.eof or self._next_member():
            self._input = self._input or self._source.read(_INPUT_BYTES)
            at_end = not self._input
            data = self._inflate.decompress(self._input, len(view))
            self._input = self._inflate.unconsumed_tail
            if data:
                view[: len(data)] = data
                return len(data)
            if at_end and not self._inflate.eof:
                raise EOFError("it ends early")
        return 0

    def _next_member(self) -> bool:
        following = self._inflate.unused_data.lstrip(b"\0") or self._source.read(_INPUT_BYTES)
        if following:  # else stay at the end: readers ask more than once
            self._input, self._inflate = following, zlib.decompressobj(wbits=31)
        return bool(following)


def read_json_blob(path: Path, digest: str, *, image: str, discard: bool = False) -> bytes:
    """A small blob as bytes; raises `InvalidRequest` if it is missing, huge or not itself.

    With `discard` a blob that is not itself is removed, so that the next pull fetches it.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_JSON_BYTES + 1)
    except FileNotFoundError:
        raise broken(image, f"blob {digest} is missing") from None
    if digest_of(data) != digest:
        if discard:
            path.unlink(missing_ok=True)
        raise mismatch(image, digest, digest_of(data))
    return data


def check_blob(path: Path, digest: str, *, image: str, discard: bool = False) -> None:
    """Read a blob through; raises `InvalidRequest` naming it if it is not what it is called.

    `discard` as for `read_json_blob`.
    """
    try:
        with path.open("rb", buffering=0) as file:
            found = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise broken(image, f"blob {digest} is missing") from None
    if found != digest:
        if discard:
            path.unlink(missing_ok=True)
        raise mismatch(image, digest, found)


def mismatch(image: str, digest: str, found: str) -> InvalidRequest:
    """The error for content that does not have the digest it goes by."""
    return InvalidRequest(
        f"image {image}: digest mismatch: blob {digest} has the content of {found}",
        hint="the image is damaged: pull it again, or build it anew",
    )


@contextlib.contextmanager
def open_archive(path: Path) -> Iterator[tuple[BinaryIO, Digesting]]:
    """The archive in a packed layer, buffered, and the digest of what was read of it."""
    with path.open("rb") as file, contextlib.ExitStack() as stack:
        raw = stack.enter_context(_zstd(path) if _is_zstd(file) else _unpacked(file))
        digesting = Digesting(raw)
        yield cast(BinaryIO, io.BufferedReader(digesting, _BUFFER_BYTES)), digesting


@contextlib.contextmanager
def open_stream(fd: int) -> Iterator[BinaryIO]:
    """The archive that comes from a descriptor, compressed by gzip, bzip2, xz or not at all."""
    with open(fd, "rb", closefd=False) as file, _unpacked(file) as raw:
        yield cast(BinaryIO, io.BufferedReader(Digesting(raw), _BUFFER_BYTES))


@contextlib.contextmanager
def unpack_errors(attempt: str) -> Iterator[None]:
    """Turn what decompressors raise into one `InvalidRequest` that begins with `attempt`."""
    import lzma

    try:
        yield
    except (zlib.error, lzma.LZMAError, EOFError) as error:
        raise InvalidRequest(
            f"{attempt}: damaged compressed data: {error}",
            hint="fetch or build the archive again",
        ) from error


def _is_zstd(file: io.BufferedReader) -> bool:
    magic = file.peek(4)[:4]
    return magic == _ZSTD or magic in _ZSTD_SKIPPABLE


@contextlib.contextmanager
def _unpacked(file: io.BufferedReader) -> Iterator[Raw]:
    magic = file.peek(6)[:6]
    if magic[:2] == b"\x1f\x8b":
        yield Inflating(file)
    elif magic[:3] == b"BZh":
        import bz2

        with bz2.BZ2File(file) as raw:
            yield raw
    elif magic == b"\xfd7zXZ\0":
        import lzma

        with lzma.LZMAFile(file) as raw:
            yield raw
    else:
        yield file


@contextlib.contextmanager
def _zstd(path: Path) -> Iterator[Raw]:
    argv = ["zstd", "--decompress", "--stdout", "--quiet", "--", os.fspath(path)]
    with process.running(argv, package="zstd") as child:
        stream = child.stdout
        if stream is None:
            raise HostUnfit("no pipe to zstd", hint="run with fewer open files")
        yield cast(Raw, stream)
        if stream.read(1) == b"" and child.wait() != 0:
            raise EOFError("zstd refuses it")
