"""Bytes from one descriptor to another, several lanes in one poll loop.

Used where the command itself stands between the caller and a container: for terminals, and for
`attach`. What `run` and `exec` without a terminal do needs no lanes: the supervisor has the
caller's own descriptors.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable
from typing import Final

_READ_BYTES: Final = 65536
_WRITE_BYTES: Final = 4096
"""What a pipe or terminal that is said to be writable takes without blocking (PIPE_BUF)."""


def _unchanged(data: bytes) -> bytes:
    return data


class Lane:
    """One direction: reads while nothing waits to be written, writes while something does."""

    def __init__(
        self,
        source: int,
        target: int,
        *,
        through: Callable[[bytes], bytes] = _unchanged,
        at_end: Callable[[], None] | None = None,
    ) -> None:
        self._source, self._target = source, target
        self._through, self._at_end = through, at_end
        self._waiting = b""
        self.open = True

    def interest(self) -> tuple[int, int]:
        """What to poll for: descriptor and events."""
        if self._waiting:
            return self._target, select.POLLOUT
        return self._source, select.POLLIN

    def move(self) -> None:
        """Do what the poll said is possible."""
        try:
            if not self._waiting:
                data = os.read(self._source, _READ_BYTES)
                if not data:
                    self.end()
                self._waiting = self._through(data)
                if not self._waiting:
                    return
            self._waiting = self._waiting[os.write(self._target, self._waiting[:_WRITE_BYTES]) :]
        except BlockingIOError:
            return
        except OSError:
            self.end()  # EIO, EPIPE: one of the two sides is gone

    def end(self) -> None:
        """No more bytes; tell whoever is at the other end."""
        if self.open:
            self.open = False
            self._waiting = b""
            if self._at_end is not None:
                self._at_end()

    def drain(self) -> None:
        """Pass on everything that can be read without waiting."""
        poller = select.poll()
        while self.open:
            descriptor, events = self.interest()
            if events == select.POLLIN:
                poller.register(descriptor, events)
                ready = poller.poll(0)
                poller.unregister(descriptor)
                if not ready:
                    return
            self.move()


def half_close(end: socket.socket, *, reading: bool = False) -> Callable[[], None]:
    """An `at_end` that tells the other side of a socket that nothing more comes, or is read."""

    def close() -> None:
        try:
            end.shutdown(socket.SHUT_RD if reading else socket.SHUT_WR)
        except OSError:
            return  # the other side has gone already

    return close
