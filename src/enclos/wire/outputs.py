"""A stream of a link to descriptors: any number of them, and a log, with credit."""

from __future__ import annotations

import asyncio
import errno
import os
from collections import deque
from collections.abc import Callable
from typing import Final

from enclos import log
from enclos.wire import frames
from enclos.wire.descriptors import nothing, private
from enclos.wire.link import Link
from enclos.wire.messages import STREAM_WINDOW

_GRANT_BYTES: Final = STREAM_WINDOW // 4
_GONE: Final = {errno.EPIPE, errno.ECONNRESET, errno.EIO, errno.ENOTCONN}
"""What a write meets where nobody reads any more; anything else is worth a word."""


class Output:
    """Receives one stream; the slowest attached descriptor decides how fast it may flow."""

    def __init__(
        self, link: Link, number: int, *, log: Callable[[bytes], None] | None = None
    ) -> None:
        self.number: Final = number
        self._link, self._log = link, log
        self._sinks: list[Sink] = []
        self._fed = 0
        self._granted = 0
        self._ended = False
        self.flushed: Final = asyncio.Event()
        link.receivers[number] = self

    def attach(self, descriptor: int) -> Callable[[], None]:
        """Write what comes from now on to `descriptor` too, which is taken over.

        What is returned gives it back before the end: others read on, or nobody does.
        """
        if self._ended:
            os.close(descriptor)
            return nothing
        sink = Sink(self, descriptor, self._fed)
        self._sinks.append(sink)
        return sink.let_go

    def feed(self, data: bytes) -> None:
        """Pass one frame's payload on; raises `FrameError` for more than was ever granted."""
        if self._fed + len(data) - self._granted > STREAM_WINDOW:
            raise frames.FrameError(f"stream {self.number}: more than was granted")
        if self._log is not None:
            self._log(data)
        self._fed += len(data)
        for sink in list(self._sinks):
            sink.feed(data)
        self.settle()

    def finish(self) -> None:
        """The stream has ended: close every descriptor once it has taken the rest."""
        self._ended = True
        for sink in list(self._sinks):
            sink.finish()
        self.settle()

    def discard(self) -> None:
        """There is no such stream after all: close every descriptor now."""
        self._link.receivers.pop(self.number, None)
        self._ended = True
        for sink in list(self._sinks):
            sink.let_go()
        self.settle()

    def settle(self) -> None:
        """Grant credit for what every descriptor has taken; note when all is done."""
        taken = min((sink.taken for sink in self._sinks), default=self._fed)
        if not self._ended and taken - self._granted >= _GRANT_BYTES:
            self._link.grant(self.number, taken - self._granted)
            self._granted = taken
        if self._ended and not self._sinks:
            self.flushed.set()

    def drop(self, sink: Sink, *, refused: bool) -> None:
        """Forget a descriptor; if it was the only reader, the guest's writer gets EPIPE."""
        if sink in self._sinks:
            self._sinks.remove(sink)
        if refused and not self._sinks and self._log is None and not self._ended:
            self._link.receivers.pop(self.number, None)
            self._link.send(frames.encode(frames.RESET, self.number))
            self._ended = True  # no END follows
        self.settle()


class Sink:
    """One descriptor of an `Output`."""

    def __init__(self, output: Output, descriptor: int, taken: int) -> None:
        self.taken = taken
        self._output = output
        self._fd = private(descriptor, writing=True)
        self._queue: deque[memoryview] = deque()
        self._ending = False
        self._watching = False
        self._loop = asyncio.get_running_loop()

    def feed(self, data: bytes) -> None:
        """Write now what the descriptor takes, the rest when it can."""
        if self._queue:
            self._queue.append(memoryview(data))
            return
        sent = self._write(data)
        if 0 <= sent < len(data):
            self._queue.append(memoryview(data)[sent:])
            self._watch()

    def finish(self) -> None:
        """Close when the queue is written."""
        self._ending = True
        if not self._queue:
            self._close(refused=False)

    def let_go(self) -> None:
        """Close now; what is queued is lost."""
        self._close(refused=False)

    def _write(self, data: bytes | memoryview) -> int:
        """Bytes taken, or -1 if nobody reads any more."""
        try:
            sent = os.write(self._fd, data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            if error.errno not in _GONE:
                log.warning("output is lost", stream=self._output.number, error=error)
            self._close(refused=True)
            return -1
        self.taken += sent
        return sent

    def _watch(self) -> None:
        try:
            self._loop.add_writer(self._fd, self._writable)
            self._watching = True
        except PermissionError:  # epoll refuses regular files: their disk is full, or nearly
            self._loop.call_soon(self._regular)

    def _regular(self) -> None:
        """Go on after a write that came back short: the next one says why, or goes through."""
        if self._fd < 0:
            return
        self._writable()
        if self._queue:
            self._loop.call_soon(self._regular)

    def _writable(self) -> None:
        while self._queue:
            sent = self._write(self._queue[0])
            if sent < 0:
                return
            if sent < len(self._queue[0]):
                self._queue[0] = self._queue[0][sent:]
                self._output.settle()
                return
            self._queue.popleft()
        self._unwatch()
        if self._ending:
            self._close(refused=False)
        else:
            self._output.settle()

    def _close(self, *, refused: bool) -> None:
        if self._fd < 0:
            return
        self._unwatch()
        os.close(self._fd)
        self._fd = -1
        self._queue.clear()
        self._output.drop(self, refused=refused)

    def _unwatch(self) -> None:
        if self._watching:
            self._watching = False
            self._loop.remove_writer(self._fd)
