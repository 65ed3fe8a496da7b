"""A container's recorded output: chunks as they came, byte-exact, with their time and stream.

Each chunk is a header line `<time_ns> <stream> <length>\\n` and that many bytes (decision record
on the log format). Nothing is cut into lines on the way in; `read` gives chunks back.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from enclos import log
from enclos.errors import GuestFailed
from enclos.structs import dataclass

_MAX_HEADER: Final = 64
_STREAMS: Final = ("stdout", "stderr")


@dataclass(frozen=True, slots=True)
class Chunk:
    """What was written at once."""

    time_ns: int
    stream: str
    data: bytes


class OutputLog:
    """An open log that several streams append to."""

    def __init__(self, descriptor: int) -> None:
        self._fd = descriptor
        self._losing = False

    def writer(self, stream: str) -> Callable[[bytes], None]:
        """A function that records bytes of `stream`, whole or, on a full disk, not at all."""

        def write(data: bytes) -> None:
            if self._fd < 0:
                return
            head = f"{time.time_ns()} {stream} {len(data)}\n".encode()
            try:
                self._append(head, data)
            except OSError as error:
                if not self._losing:
                    log.warning("output is not recorded", stream=stream, error=error)
                self._losing = True
            else:
                self._losing = False

        return write

    def _append(self, head: bytes, data: bytes) -> None:
        written = os.writev(self._fd, [head, data])
        if written < len(head) + len(data):
            os.ftruncate(self._fd, os.fstat(self._fd).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def close(self) -> None:
        """No more output; what comes all the same is dropped."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def open_log(path: Path) -> OutputLog:
    """Append to the log at `path`, created for root only."""
    return OutputLog(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600))


def read(source: BinaryIO) -> Iterator[Chunk]:
    """Whole chunks from the current position; stops before one that is still being written."""
    while True:
        at = source.tell()
        head = source.readline(_MAX_HEADER)
        if not head.endswith(b"\n"):
            source.seek(at)
            return
        chunk = _parse(head)
        data = source.read(chunk[2])
        if len(data) < chunk[2]:
            source.seek(at)
            return
        yield Chunk(chunk[0], chunk[1], data)


def _parse(head: bytes) -> tuple[int, str, int]:
    fields = head.split()
    if len(fields) != 3 or fields[1].decode("ascii", "replace") not in _STREAMS:
        raise GuestFailed("the container's log is damaged", hint="remove the container")
    return int(fields[0]), fields[1].decode(), int(fields[2])
