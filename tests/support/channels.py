"""Kubernetes' streams over a WebSocket: numbered channels, as `kubectl exec` has them.

As much of RFC 6455 as a client needs that trusts its server; the first byte of a message is the
channel's number.
"""

from __future__ import annotations

import base64
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

STDIN, STDOUT, STDERR, ERROR, RESIZE = range(5)
_PROTOCOL: Final = "v4.channel.k8s.io"
_BINARY: Final = 0x82
_CLOSE: Final = 8
_TIMEOUT_S: Final = 120


@dataclass
class Channels:
    """A connection. `seen` is what has come so far, by channel."""

    connection: socket.socket
    seen: dict[int, bytes] = field(default_factory=dict[int, bytes])

    def send(self, channel: int, data: bytes) -> None:
        """One message."""
        payload = bytes([channel]) + data
        length = len(payload)
        size = bytes([0x80 | length]) if length < 126 else b"\xfe" + length.to_bytes(2, "big")
        self.connection.sendall(bytes([_BINARY]) + size + bytes(4) + payload)  # a mask of zeros

    def wait(self, channel: int, data: bytes) -> None:
        """Take messages until `data` has come on a channel."""
        while data not in self.seen.get(channel, b""):
            assert self._take(), f"it ended; seen: {self.seen}"

    def rest(self) -> dict[int, bytes]:
        """Everything until the server closes."""
        while self._take():
            pass
        return self.seen

    def _take(self) -> bool:
        head = self._exactly(2)
        if len(head) < 2 or head[0] & 0xF == _CLOSE:
            return False
        length = head[1] & 0x7F
        if length >= 126:
            length = int.from_bytes(self._exactly(2 if length == 126 else 8), "big")
        payload = self._exactly(length)
        if payload:
            self.seen[payload[0]] = self.seen.get(payload[0], b"") + payload[1:]
        return True

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count and (piece := self.connection.recv(count - len(data))):
            data += piece
        return data


@contextmanager
def opened(url: str, *, enter: socket.socket) -> Iterator[Channels]:
    """The streams behind a URL; `enter` is a fresh socket of the server's network."""
    found = urlsplit(url)
    key = base64.b64encode(os.urandom(16)).decode()
    with enter as connection:
        connection.settimeout(_TIMEOUT_S)
        connection.connect((found.hostname, found.port))
        lines = (
            f"GET {found.path}?{found.query} HTTP/1.1",
            f"Host: {found.netloc}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {key}",
            f"Sec-WebSocket-Protocol: {_PROTOCOL}",
            "Origin: http://localhost",
        )
        connection.sendall("".join(f"{line}\r\n" for line in (*lines, "")).encode())
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            piece = connection.recv(1)
            assert piece, answer
            answer += piece
        assert b" 101 " in answer.split(b"\r\n", 1)[0], answer
        yield Channels(connection)
