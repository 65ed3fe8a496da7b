"""Recorded output as lines: the last ones, those of a time, those still to come.

The record keeps chunks as they were written; a line may begin in one chunk and end in another,
and the two streams' lines may be torn apart by each other.
"""

from __future__ import annotations

import io
import os
import select
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from enclos.errors import Lost
from enclos.linux import libc
from enclos.sandbox import outputlog
from enclos.sandbox.client import Connection
from enclos.sandbox.outputlog import Chunk
from enclos.structs import dataclass
from enclos.wire import control as c

_IN_MODIFY: Final = 2


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines: the last `tail` (None: all), written from `since_ns` to `until_ns` (0: any)."""

    tail: int | None = None
    since_ns: int = 0
    until_ns: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """A line, or a piece of one; `begins` tells whether it is the beginning."""

    time_ns: int
    stream: str
    data: bytes
    begins: bool


@dataclass(frozen=True, slots=True)
class Running:
    """A container that has not ended yet, and a connection to its supervisor."""

    id: str
    connection: Connection


class _Cutter:
    """Cuts chunks into lines."""

    def __init__(self) -> None:
        self._inside: set[str] = set()

    def cut(self, chunks: Iterable[Chunk]) -> Iterator[Line]:
        """Lines of the chunks, and of what came before them."""
        for chunk in chunks:
            for piece in io.BytesIO(chunk.data):  # bytes.splitlines cuts at \r as well
                yield from self._piece(chunk, piece)

    def _piece(self, chunk: Chunk, piece: bytes) -> Iterator[Line]:
        begins = chunk.stream not in self._inside
        if piece.endswith(b"\n"):
            self._inside.discard(chunk.stream)
        else:
            self._inside.add(chunk.stream)
        yield Line(chunk.time_ns, chunk.stream, piece, begins)


def lines(path: Path, wanted: Wanted, *, until_end_of: Running | None) -> Iterator[Line]:
    """The wanted lines; with a connection also those to come, until the container has ended."""
    cutter = _Cutter()
    with path.open("rb") as source:
        yield from _last(_chosen(cutter.cut(outputlog.read(source)), wanted), wanted.tail)
        if until_end_of is not None:
            chunks = _following(path, source, until_end_of)
            yield from _chosen(cutter.cut(chunks), wanted)


def _chosen(found: Iterable[Line], wanted: Wanted) -> Iterator[Line]:
    for line in found:
        if wanted.until_ns and line.time_ns > wanted.until_ns:
            return
        if line.time_ns >= wanted.since_ns:
            yield line


def _last(found: Iterable[Line], count: int | None) -> Iterable[Line]:
    """The last `count` whole lines: pieces go with what they continue."""
    if count is None or count < 0:
        return found
    kept: deque[list[Line]] = deque(maxlen=count)
    for line in found:
        if line.begins or not kept:
            kept.append([line])
        else:
            kept[-1].append(line)
    return (line for whole in kept for line in whole)


def _following(path: Path, source: BinaryIO, running: Running) -> Iterator[Chunk]:
    """Chunks as they are written; ends when the supervisor says so, or is gone."""
    connection = running.connection
    watch = libc.inotify_init()
    try:
        libc.inotify_add_watch(watch, os.fspath(path), _IN_MODIFY)
        number = connection.post("wait", c.Named(running.id))
        over = False
        while True:
            yield from outputlog.read(source)
            if over:
                return
            over = _wait(watch, connection, number)
    finally:
        os.close(watch)
        connection.close()


def _wait(watch: int, connection: Connection, number: int) -> bool:
    """Wait for more; whether the container has ended."""
    poller = select.poll()
    poller.register(watch, select.POLLIN)
    poller.register(connection.fileno(), select.POLLIN)
    ready = {descriptor for descriptor, _ in poller.poll()}
    if watch in ready:
        os.read(watch, 4096)
    if connection.fileno() in ready:
        try:
            connection.receive(timeout_s=None)
        except Lost:
            return True
    return connection.answered(number)
