"""The guest's end of the protocol over a socket pair: the agent's parts without a machine."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from enclos.guest.channel import Channel
from enclos.guest.loop import Loop
from enclos.guest.streams import Streams
from enclos.wire import frames
from enclos.wire.frames import Decoder, Frame


class Port:
    """A channel with streams; `received` is what the host got."""

    def __init__(self, guest: socket.socket, host: socket.socket) -> None:
        self.loop: Final = Loop()
        self.host: Final = host
        self.taken: Final[list[Frame]] = []
        self.channel: Final = Channel(self.loop, guest.fileno(), self._take)
        self.streams: Final = Streams(self.loop, self.channel)
        self._decoder = Decoder()
        self._received: list[Frame] = []

    def _take(self, frame: Frame) -> None:
        self.taken.append(frame)
        self.streams.take(frame)

    def send(self, kind: int, number: int, payload: bytes = b"", flags: int = 0) -> None:
        """Send a frame from the host and let the guest take it."""
        self.host.sendall(frames.encode(kind, number, payload, flags))
        self.run()

    def run(self, rounds: int = 1) -> None:
        """Let the guest do what is due; a timer keeps it from waiting for ever."""
        for _ in range(rounds):
            self.loop.later(0, lambda: None)
            self.loop.step()

    def fill(self, data: bytes | bytearray) -> int:
        """Send `data` again and again until it no longer goes out; how many times."""
        count = 0
        while not self.channel.busy:
            self.channel.send(data)
            count += 1
        return count

    def settle(self) -> list[Frame]:
        """What comes until nothing waits to be sent."""
        found: list[Frame] = []
        while self.channel.busy:
            found += self.received()
            self.run()
        return found + self.received()

    def received(self) -> list[Frame]:
        """What came since the last call."""
        found: list[Frame] = []
        while True:
            try:
                data = self.host.recv(1 << 20)
            except BlockingIOError:
                return found
            if not data:
                return found
            found += self._decoder.feed(data)


@contextmanager
def port() -> Iterator[Port]:
    """A port whose two ends do not block."""
    guest, host = socket.socketpair()
    with guest, host:
        guest.setblocking(False)
        host.setblocking(False)
        yield Port(guest, host)
