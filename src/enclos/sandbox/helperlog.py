"""What the helpers of a sandbox (virtiofsd, passt) write, as lines of the supervisor's log.

That has a limit, and so has the pipe: a helper that is made to say more than is read waits.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from enclos import log
from enclos.structs import dataclass

if TYPE_CHECKING:
    import asyncio

_READ_BYTES: Final = 1 << 16
_LINE_BYTES: Final = 4096


@dataclass(slots=True)
class Output:
    """One helper's output. `writer` is for it, until `given`; `last` is its last line so far."""

    program: str
    reader: int
    writer: int
    last: str = ""
    rest: bytes = b""
    ended: bool = False
    loop: asyncio.AbstractEventLoop | None = None

    def given(self) -> None:
        """The helper has the pipe's end now: it closes with the helper."""
        if self.writer >= 0:
            os.close(self.writer)
            self.writer = -1

    def take(self) -> bool:
        """Write down what there is to read; whether there was anything."""
        try:
            data = os.read(self.reader, _READ_BYTES)
        except BlockingIOError:
            return False
        self.ended = not data
        *lines, self.rest = (self.rest + data).split(b"\n")
        if self.ended or len(self.rest) > _LINE_BYTES:
            lines, self.rest = [*lines, self.rest], b""
        for line in filter(bytes.strip, lines):
            self.last = line[:_LINE_BYTES].decode("utf-8", "replace")
            log.warning(f"{self.program}: {self.last}")
        return bool(data)

    def follow(self) -> None:
        """Write it down as it comes, in the running loop."""
        import asyncio  # late: a helper is started while there is no loop yet

        self.loop = asyncio.get_running_loop()
        self.loop.add_reader(self.reader, self._readable)

    def unfollow(self) -> None:
        """No longer; what comes later is kept by the pipe."""
        if self.loop is not None and not self.loop.is_closed():
            self.loop.remove_reader(self.reader)
        self.loop = None

    def _readable(self) -> None:
        self.take()
        if self.ended:
            self.unfollow()


@contextmanager
def heard(program: str) -> Iterator[Output]:
    """A pipe for `program`, which has ended when the context does."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    output = Output(program, reader, writer)
    try:
        yield output
    finally:
        output.given()
        output.unfollow()
        while output.take():
            continue
        os.close(reader)
