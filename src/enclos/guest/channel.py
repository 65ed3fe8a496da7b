"""The agent's end of the port: frames in, frames out, without ever blocking.

One write to the port takes at most 32 KiB and may take less; the rest waits here, and who
wants to send much (a stream) asks `busy` first and comes back by `when_idle`. The host may
write anything: bytes that are no frames end the machine, see `Lost` in main.py.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from typing import Final

from enclos.guest.loop import HANGUP, READ, WRITE, Loop
from enclos.wire import frames
from enclos.wire.frames import Frame

_READ_BYTES: Final = 32768
_READS_AT_ONCE: Final = 16
"""The port hands out one page per read, so a frame takes several."""
_RETRY_S: Final = 0.05


class Channel:
    """The open port."""

    def __init__(self, loop: Loop, descriptor: int, take: Callable[[Frame], None]) -> None:
        self._loop, self._fd, self._take = loop, descriptor, take
        self._decoder = frames.Decoder()
        self._queue: deque[memoryview] = deque()
        self._waiting: deque[Callable[[], None]] = deque()
        loop.watch(descriptor, READ, self._ready)

    @property
    def busy(self) -> bool:
        """Whether something already waits to be written."""
        return bool(self._queue)

    def send(self, data: bytes | bytearray | memoryview) -> None:
        """Write `data`, keeping a copy of what the port does not take now."""
        sent = 0 if self._queue else self._write(data)
        if sent < len(data):
            self._queue.append(memoryview(bytes(memoryview(data)[sent:])))
            self._loop.watch(self._fd, READ | WRITE, self._ready)

    def when_idle(self, callback: Callable[[], None]) -> None:
        """Call `callback` once nothing waits to be written."""
        self._waiting.append(callback)

    def drain(self) -> None:
        """Write all that waits, blocking; for the last words before power-off."""
        os.set_blocking(self._fd, True)
        while self._queue:
            rest = self._queue.popleft()
            while rest:
                rest = rest[self._write(rest) :]

    def _write(self, data: bytes | bytearray | memoryview) -> int:
        try:
            return os.write(self._fd, data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            return 0  # ENODEV, EPIPE: the host is gone; _ready hears of it as a hang-up

    def _ready(self, events: int) -> None:
        if events & READ:
            self._read()
        elif events & HANGUP:
            self._pause()
            return
        if events & WRITE:
            self._flush()

    def _read(self) -> None:
        pieces: list[bytes] = []
        while len(pieces) < _READS_AT_ONCE:
            try:
                pieces.append(os.read(self._fd, _READ_BYTES))
            except (BlockingIOError, InterruptedError):
                break
            if not pieces[-1]:
                break
        for frame in self._decoder.feed(b"".join(pieces)):
            self._take(frame)
        if pieces and not pieces[-1]:
            self._pause()

    def _pause(self) -> None:
        """Nobody at the other end, which the port reports without pause: look now and then."""
        self._decoder = frames.Decoder()
        self._loop.forget(self._fd)
        self._loop.later(_RETRY_S, self._resume)

    def _resume(self) -> None:
        events = READ | WRITE if self._queue else READ
        self._loop.watch(self._fd, events, self._ready)

    def _flush(self) -> None:
        while self._queue:
            sent = self._write(self._queue[0])
            if sent < len(self._queue[0]):
                self._queue[0] = self._queue[0][sent:]
                return
            self._queue.popleft()
        self._loop.watch(self._fd, READ, self._ready)
        for _ in range(len(self._waiting)):
            self._waiting.popleft()()
