"""Standard streams: bytes between a pipe or pty master and the DATA frames of one number.

`Output` reads a descriptor and sends, `Input` receives and writes one. Both exist from the
request on and get their descriptor by `attach`, since a terminal's comes only later. A sender
starts with STREAM_WINDOW bytes of credit; the receiver grants more as it gets rid of them.
"""

from __future__ import annotations

import os
from typing import Final, Protocol

from enclos.guest.channel import Channel
from enclos.guest.loop import HANGUP, READ, WRITE, Loop
from enclos.guest.tasks import Promise
from enclos.wire import frames
from enclos.wire.messages import STREAM_WINDOW

_GRANT_BYTES: Final = STREAM_WINDOW // 4
_READS_AT_ONCE: Final = 8
_CREDIT_BYTES: Final = 4
_MAX_CREDIT: Final = 1 << 40
_HEADER: Final = frames.HEADER_BYTES

_buffer = memoryview(bytearray(_HEADER + frames.MAX_PAYLOAD))
"""One frame under construction, used by all outputs in turn: the channel copies what it keeps."""


class Stream(Protocol):
    """What the number of a stream stands for."""

    def take(self, frame: frames.Frame) -> None:
        """A DATA, END, CREDIT or RESET frame of this stream; never fails, whatever it says."""

    def close(self) -> None:
        """Drop everything without a word."""


class Streams:
    """The live streams by number, and what they share."""

    def __init__(self, loop: Loop, channel: Channel) -> None:
        self.loop: Final = loop
        self.channel: Final = channel
        self._streams: dict[int, Stream] = {}

    def add(self, number: int, stream: Stream) -> None:
        """Route frames of `number` to `stream`."""
        self._streams[number] = stream

    def remove(self, number: int) -> None:
        """The stream has ended; later frames of it are dropped."""
        self._streams.pop(number, None)

    def __contains__(self, number: int) -> bool:
        return number in self._streams

    def take(self, frame: frames.Frame) -> None:
        """Hand a frame to its stream; one that crossed our END or RESET finds none."""
        stream = self._streams.get(frame.number)
        if stream is not None:
            stream.take(frame)


class Output:
    """Guest to host: what a process writes. `ended` is kept after the END frame was sent."""

    def __init__(self, streams: Streams, number: int) -> None:
        self._streams, self._number = streams, number
        self._loop, self._channel = streams.loop, streams.channel
        self._fd = -1
        self._credit = STREAM_WINDOW
        self._parked = False
        self.ended: Final[Promise[None]] = Promise()
        streams.add(number, self)

    def attach(self, descriptor: int) -> None:
        """Start sending what `descriptor`, now ours, yields."""
        if self.ended.done:
            os.close(descriptor)
            return
        os.set_blocking(descriptor, False)
        self._fd = descriptor
        self._watch()

    def take(self, frame: frames.Frame) -> None:
        """CREDIT lets us send on, RESET says that nobody wants the bytes."""
        if frame.kind == frames.CREDIT and len(frame.payload) == _CREDIT_BYTES:
            extra = int.from_bytes(frame.payload, "little")
            self._credit = min(self._credit + extra, _MAX_CREDIT)
            self._watch()
        elif frame.kind == frames.RESET:
            self.close()

    def close(self) -> None:
        """Stop reading; who writes to the pipe gets EPIPE."""
        self._streams.remove(self._number)
        if self._fd >= 0:
            self._loop.forget(self._fd)
            os.close(self._fd)
            self._fd = -1
        self.ended.keep(None)

    def end(self) -> None:
        """Say that nothing more comes, and close."""
        if not self.ended.done:
            self._channel.send(frames.encode(frames.END, self._number))
            self.close()

    def _watch(self) -> None:
        if self._fd >= 0 and self._credit > 0 and not self._parked:
            self._loop.watch(self._fd, READ, self._readable)

    def _readable(self, _: int) -> None:
        for _round in range(_READS_AT_ONCE):
            if self._credit <= 0:
                self._loop.forget(self._fd)  # wholly, for a hang-up cannot be masked
                return
            if self._channel.busy:
                self._park()
                return
            if not self._forward():
                return

    def _park(self) -> None:
        self._loop.forget(self._fd)
        self._parked = True
        self._channel.when_idle(self._unpark)

    def _unpark(self) -> None:
        self._parked = False
        self._watch()

    def _forward(self) -> bool:
        """Send one frame; whether there may be more to send."""
        room = min(self._credit, frames.MAX_PAYLOAD)
        try:
            length = os.readv(self._fd, [_buffer[_HEADER : _HEADER + room]])
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            length = 0  # EIO: no slave of this terminal is open any more
        if length == 0:
            self.end()
            return False
        _buffer[:_HEADER] = frames.header(frames.DATA, self._number, length)
        self._channel.send(_buffer[: _HEADER + length])
        self._credit -= length
        return length == room  # less than was asked for: the pipe is empty now


class Input:
    """Host to guest: what a process reads. A terminal is not closed by END (`closes`)."""

    def __init__(self, streams: Streams, number: int, *, closes: bool = True) -> None:
        self._streams, self._number = streams, number
        self._loop = streams.loop
        self._closes = closes
        self._fd = -1
        self._queue = bytearray()
        self._consumed = 0
        self._ending = False
        streams.add(number, self)

    def attach(self, descriptor: int) -> None:
        """Write what comes, and has come, to `descriptor`, now ours."""
        os.set_blocking(descriptor, False)
        self._fd = descriptor
        self._flush()

    def take(self, frame: frames.Frame) -> None:
        """DATA is written as the reader reads, END closes after that."""
        if frame.kind == frames.DATA:
            self._queue += frame.payload
            if len(self._queue) > STREAM_WINDOW:  # more than was ever granted
                self.refuse()
                return
        elif frame.kind == frames.END:
            self._ending = True
        if self._fd >= 0:
            self._flush()

    def refuse(self) -> None:
        """Nobody reads any more: the writer at the host gets EPIPE, unless it has ended."""
        if not self._ending and self._number in self._streams:
            self._streams.channel.send(frames.encode(frames.RESET, self._number))
        self.close()

    def close(self) -> None:
        """Drop what is queued; the process reads end of file."""
        self._streams.remove(self._number)
        self._queue.clear()
        if self._fd >= 0:
            self._loop.forget(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _ready(self, events: int) -> None:
        if events & HANGUP:
            self.refuse()
        else:
            self._flush()

    def _flush(self) -> None:
        while self._queue:
            try:
                sent = os.write(self._fd, self._queue)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                self.refuse()
                return
            del self._queue[:sent]
            self._grant(sent)
        if self._ending and self._closes and not self._queue:
            self.close()
            return
        # With nothing to write still watched, for the reader's end.
        self._loop.watch(self._fd, WRITE if self._queue else 0, self._ready)

    def _grant(self, sent: int) -> None:
        self._consumed += sent
        if self._consumed >= _GRANT_BYTES and not self._ending:
            extra = self._consumed.to_bytes(4, "little")
            self._streams.channel.send(frames.encode(frames.CREDIT, self._number, extra))
            self._consumed = 0
