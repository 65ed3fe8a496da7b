"""A stream of a link from descriptors: whichever are attached, with credit."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Final

from enclos.wire import frames
from enclos.wire.descriptors import nothing, private
from enclos.wire.link import Link
from enclos.wire.messages import STREAM_WINDOW


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
            return nothing
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
