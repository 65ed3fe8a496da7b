"""The standard streams of one process: pipes, or a terminal, joined to streams of the channel.

Made before crun runs (`descriptors` become its 0-2, and so the process's), connected after: what
crun itself says there, about a program that it cannot run, is nobody's output.
A stream number of 0 means /dev/null.
"""

from __future__ import annotations

import fcntl
import os
from typing import Final

from enclos.errors import InvalidRequest
from enclos.guest.streams import Input, Output, Streams
from enclos.guest.tasks import Promise, after
from enclos.guest.terminal import ConsoleSocket, Terminal
from enclos.wire.messages import Stdio

_PIPE_BYTES: Final = 512 << 10


class ProcessIo:
    """Owns every descriptor of one process's standard streams."""

    def __init__(self, streams: Streams, stdio: Stdio) -> None:
        _check(streams, stdio)
        self._stdio = stdio
        self._children: list[int] = []
        self._readers: list[int] = []
        self._terminal: Terminal | None = None
        self._input = (
            Input(streams, stdio.stdin, closes=not stdio.terminal) if stdio.stdin else None
        )
        self._outputs = [Output(streams, number) for number in _outputs(stdio)]
        self._console = ConsoleSocket(streams.loop) if stdio.terminal else None
        self.descriptors: Final = self._null() if stdio.terminal else self._pipes()
        self.drained: Final[Promise[None]] = Promise()
        """Kept when all output has been sent."""
        after([output.ended for output in self._outputs], lambda: self.drained.keep(None))

    @property
    def arguments(self) -> list[str]:
        """What crun must be told."""
        return ["--console-socket", self._console.path] if self._console else []

    async def connect(self) -> None:
        """Once crun has succeeded: only the process holds its ends now."""
        self._release()
        if self._console is None:
            for output, reader in zip(self._outputs, self._readers, strict=True):
                output.attach(reader)
            self._readers.clear()
            return
        master = await self._console.master
        self._console.close()
        self._terminal = Terminal(master, self._stdio.rows, columns=self._stdio.columns)
        if self._input is not None:
            self._input.attach(os.dup(master))
        if self._outputs:
            self._outputs[0].attach(os.dup(master))

    def resize(self, rows: int, columns: int) -> None:
        """Set the terminal's size; raises `InvalidRequest` without one."""
        if self._terminal is None:
            raise InvalidRequest("this process has no terminal")
        self._terminal.resize(rows, columns)

    def died(self) -> None:
        """The process is gone: it reads no more, and its terminal may end."""
        if self._input is not None:
            self._input.refuse()
        if self._terminal is not None:
            self._terminal.close()
            self._terminal = None

    def finish(self) -> None:
        """End what is still open, saying so."""
        self._dispose()
        for output in self._outputs:
            output.end()

    def _dispose(self) -> None:
        self._release()
        _close(self._readers)
        if self._console is not None:
            self._console.close()
        self.died()

    def _null(self) -> tuple[int, int, int]:
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        self._children.append(null)
        return null, null, null

    def _pipes(self) -> tuple[int, int, int]:
        null = self._null()[0]
        stdin, writers = null, {0: null}
        if self._input is not None:
            stdin, ours = _pipe()
            self._children.append(stdin)
            self._input.attach(ours)
        for number in _outputs(self._stdio):
            ours, writers[number] = _pipe()
            self._children.append(writers[number])
            self._readers.append(ours)
        return stdin, writers[self._stdio.stdout], writers[self._stdio.stderr]

    def _release(self) -> None:
        _close(self._children)


def _close(descriptors: list[int]) -> None:
    """Close and forget them."""
    while descriptors:
        os.close(descriptors.pop())


def _pipe() -> tuple[int, int]:
    """Reading and writing end of a pipe that takes more than usual; see main.py."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return reading, writing


def _outputs(stdio: Stdio) -> list[int]:
    """Numbers of the streams to the host; the same number twice is one stream."""
    wanted = [stdio.stdout] if stdio.terminal else [stdio.stdout, stdio.stderr]
    return [number for number in dict.fromkeys(wanted) if number]


def _check(streams: Streams, stdio: Stdio) -> None:
    numbers = [number for number in (stdio.stdin, *_outputs(stdio)) if number]
    for number in numbers:
        if not 0 < number < 1 << 32 or number in streams or numbers.count(number) > 1:
            raise InvalidRequest(f"stream number {number} is out of range or in use")
