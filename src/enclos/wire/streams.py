"""Bytes between descriptors and the streams of a link, with credit and without blocking.

`Output` spreads one stream over any number of descriptors and a log; `Input` feeds one stream
from whichever descriptors are attached. Descriptors shared with somebody else must not become
non-blocking for them, so pipes and terminals are opened anew by /proc/self/fd where possible.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections import deque
from collections.abc import Callable
from typing import Final

from enclos import log
from enclos.wire import frames
from enclos.wire.link import Link
from enclos.wire.messages import STREAM_WINDOW

_GRANT_BYTES: Final = STREAM_WINDOW // 4
_GONE: Final = {errno.EPIPE, errno.ECONNRESET, errno.EIO, errno.ENOTCONN}
"""What a write meets where nobody reads any more; anything else is worth a word."""


def private(descriptor: int, *, writing: bool) -> int:
    """A non-blocking descriptor for the same object; takes over and closes `descriptor`."""
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        flags = (os.O_WRONLY if writing else os.O_RDONLY) | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            fresh = os.open(f"/proc/self/fd/{descriptor}", flags | os.O_NOCTTY)
        except OSError:
            os.set_blocking(descriptor, False)  # a pty master, or of another mount namespace
            return descriptor
        os.close(descriptor)
        return fresh
    if stat.S_ISSOCK(mode):
        os.set_blocking(descriptor, False)
    return descriptor


def _nothing() -> None:
    """Gives back what was not taken."""


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
            return _nothing
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


class Input:
    """Transmits one stream, from any number of descriptors, in the order they become readable."""

    def __init__(self, link: Link, number: int) -> None:
        self.link: Final = link
        self.number: Final = number
        self.remaining = STREAM_WINDOW
        self._sources: list[Source] = []
        self._ended = False
        self.over: Final = asyncio.Event()
        link.transmitters[number] = self

    def attach(self, descriptor: int, *, ends: bool) -> Callable[[], None]:
        """Send what `descriptor` yields; its end is the stream's if `ends`. Takes it over.

        What is returned gives it back as if it had ended.
        """
        if self._ended:
            os.close(descriptor)
            return _nothing
        source = Source(self, descriptor, ends=ends)
        self._sources.append(source)
        return source.finish

    def credit(self, extra: int) -> None:
        """See `link.Transmitter`; never more than the window, whatever the other side says."""
        self.remaining = min(self.remaining + extra, STREAM_WINDOW)
        for source in list(self._sources):
            source.watch()

    def reset(self) -> None:
        """See `link.Transmitter`."""
        self._ended = True
        self.over.set()
        for source in list(self._sources):
            source.close()

    def end(self) -> None:
        """Close the process's standard input."""
        if not self._ended:
            self.link.transmitters.pop(self.number, None)
            self.link.send(frames.encode(frames.END, self.number))
        self.reset()

    def forget(self, source: Source) -> None:
        """A descriptor is closed."""
        if source in self._sources:
            self._sources.remove(source)


class Source:
    """One descriptor of an `Input`."""

    def __init__(self, target: Input, descriptor: int, *, ends: bool) -> None:
        self._input, self._ends = target, ends
        self._fd = private(descriptor, writing=False)
        self._watching = False
        self._resting = False
        self._loop = asyncio.get_running_loop()
        self.watch()

    def watch(self) -> None:
        """Read on as soon as there is something, while the other side has room."""
        if self._watching or self._fd < 0 or self._input.remaining <= 0:
            return
        if self._input.link.busy:
            self._rest()
            return
        self._watching = True
        try:
            self._loop.add_reader(self._fd, self._readable)
        except PermissionError:  # epoll refuses regular files, which are always readable
            self._loop.call_soon(self._regular)

    def close(self) -> None:
        """Stop and close."""
        if self._fd < 0:
            return
        self._unwatch()
        os.close(self._fd)
        self._fd = -1
        self._input.forget(self)

    def finish(self) -> None:
        """Close; that is the end of the stream if it was to be."""
        if self._fd < 0:
            return
        self.close()
        if self._ends:
            self._input.end()

    def _regular(self) -> None:
        if self._fd < 0:
            return
        self._watching = False
        self._readable()
        self.watch()

    def _rest(self) -> None:
        """Read no more until the link has written what it has."""
        self._unwatch()
        if not self._resting:
            self._resting = True
            self._input.link.when_relieved(self._go_on)

    def _go_on(self) -> None:
        self._resting = False
        self.watch()

    def _readable(self) -> None:
        if self._input.link.busy:
            self._rest()
            return
        try:
            data = os.read(self._fd, min(self._input.remaining, frames.MAX_PAYLOAD))
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""  # EIO: the other side of a terminal is gone, which is its end of file
        if not data:
            self.finish()
            return
        self._input.link.send(frames.encode(frames.DATA, self._input.number, data))
        self._input.remaining -= len(data)
        if self._input.remaining <= 0:
            self._unwatch()

    def _unwatch(self) -> None:
        if self._watching:
            self._watching = False
            self._loop.remove_reader(self._fd)
