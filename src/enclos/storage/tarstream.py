"""A tar archive as a stream of entries, read with bounds: archives come from strangers.

Understands ustar, old tar, GNU (long names, base-256 numbers, sparse) and PAX (with extended
attributes and the three sparse formats). The standard library's reader trusts the lengths
that an archive claims, keeps every member in memory and decodes names; this one does not.
Only reads; `storage/extract` decides what an entry may do.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final

from enclos.errors import InvalidRequest
from enclos.storage import tarheaders
from enclos.storage.tarheaders import BLOCK_BYTES, Entry, Header

_MAX_SPECIAL_BYTES: Final = 1 << 20
"""The limit of Go's reader for long names and PAX records, so of docker and containerd."""
_MAX_SPECIALS: Final = 16
_CHUNK_BYTES: Final = 1 << 20
_MAX_EXTENTS: Final = 1 << 16


class TarReader:
    """Iterate over the entries; between two steps `chunks` gives the data of the current one."""

    def __init__(self, source: BinaryIO, *, name: str) -> None:
        self._source = source
        self._name = name
        self._left = 0
        self._padding = 0

    def __iter__(self) -> Iterator[Entry]:
        while (header := self._next_header()) is not None:
            pax: dict[str, bytes] = {}
            for _ in range(_MAX_SPECIALS):
                if header is None or not header.is_special:
                    break
                pax |= self._special(header)
                header = self._next_header()
            if header is None or header.is_special:
                raise self.broken("extended headers without an entry")
            yield self._entry(header, pax)

    def chunks(self) -> Iterator[bytes]:
        """What is left of the current entry's stored data, in pieces of at most 1 MiB."""
        while self._left:
            data = self._source.read(min(self._left, _CHUNK_BYTES))
            if not data:
                raise self.broken("it is truncated")
            self._left -= len(data)
            yield data

    def drain(self) -> None:
        """Read the source to its end, past the archive's end mark."""
        while self._source.read(_CHUNK_BYTES):
            continue

    def broken(self, reason: str) -> InvalidRequest:
        """The error for a malformed archive."""
        return InvalidRequest(
            f"{self._name}: broken tar archive: {reason}",
            hint="fetch or build the archive again",
        )

    def _entry(self, header: Header, pax: dict[str, bytes]) -> Entry:
        try:
            entry = tarheaders.entry(header, pax)
        except ValueError as error:
            raise self.broken(str(error)) from error
        self._set_data(entry.size_bytes)
        extents = entry.extents
        if header.kind == b"S":
            extents = self._old_sparse(header)
        elif tarheaders.has_inline_map(pax):
            extents = self._inline_map()
        return entry if extents is entry.extents else tarheaders.with_extents(entry, extents)

    def _next_header(self) -> Header | None:
        self._skip()
        block = self._source.read(BLOCK_BYTES)
        if not block or not any(block):
            return None
        if len(block) != BLOCK_BYTES:
            raise self.broken("it is truncated")
        try:
            header = tarheaders.parse(block)
        except ValueError as error:
            raise self.broken(str(error)) from error
        return header

    def _special(self, header: Header) -> dict[str, bytes]:
        """The fields that a GNU long name or a PAX header gives to the entry after it."""
        if header.size_bytes > _MAX_SPECIAL_BYTES:
            raise self.broken(f"an extended header of {header.size_bytes} bytes")
        self._set_data(header.size_bytes)
        data = b"".join(self.chunks())
        try:
            return tarheaders.special(header, data)
        except ValueError as error:
            raise self.broken(str(error)) from error

    def _set_data(self, size_bytes: int) -> None:
        self._left = size_bytes
        self._padding = -size_bytes % BLOCK_BYTES

    def _skip(self) -> None:
        for _ in self.chunks():
            continue
        if self._padding and len(self._source.read(self._padding)) != self._padding:
            raise self.broken("it is truncated")
        self._padding = 0

    def _old_sparse(self, header: Header) -> tuple[tuple[int, int], ...]:
        """GNU's first sparse format: the map goes on in blocks between header and data."""
        extents, more = tarheaders.sparse_in_header(header)
        while more:
            block = self._source.read(BLOCK_BYTES)
            if len(block) != BLOCK_BYTES or len(extents) > _MAX_EXTENTS:
                raise self.broken("a sparse map without end")
            found, more = tarheaders.sparse_in_block(block)
            extents += found
        return extents

    def _inline_map(self) -> tuple[tuple[int, int], ...]:
        """PAX sparse format 1.0: decimal lines at the start of the data, padded to a block."""
        lines = self._lines()
        try:
            count = int(next(lines))
            if count > _MAX_EXTENTS:
                raise self.broken(f"a sparse map of {count} extents")
            return tuple((int(next(lines)), int(next(lines))) for _ in range(count))
        except ValueError as error:
            raise self.broken("a sparse map that is no list of numbers") from error

    def _lines(self) -> Iterator[bytes]:
        rest = b""
        while True:
            block = self._source.read(BLOCK_BYTES)
            self._left -= BLOCK_BYTES
            if len(block) != BLOCK_BYTES or self._left < 0 or len(rest) > BLOCK_BYTES:
                raise self.broken("a sparse map without end")
            *whole, rest = (rest + block).split(b"\n")
            yield from whole
