"""A client's connection to a supervisor: blocking, for front ends and stand-ins."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeVar

from enclos.errors import Lost, NotFound, TimedOut
from enclos.linux import unixsocket
from enclos.wire import codec, envelopes, frames
from enclos.wire.control import SOCKET_NAME
from enclos.wire.frames import Frame

_READ_BYTES: Final = 65536

T = TypeVar("T")


class Connection:
    """One connection; requests are answered in any order, `call` waits for its own."""

    def __init__(self, connection: socket.socket, *, posted: int = 1) -> None:
        """`posted` is the highest request number already sent on it in our name."""
        self._socket = connection
        self._decoder = frames.Decoder()
        self._answers: dict[int, tuple[int, bytes]] = {}
        self._assembler = envelopes.Assembler("supervisor")
        self._unwanted: set[int] = set()
        self._next = posted

    def fileno(self) -> int:
        """The socket's descriptor, for polling."""
        return self._socket.fileno()

    def post(self, method: str, message: object, descriptors: Sequence[int] = ()) -> int:
        """Send a request without waiting; returns its number. Raises `Lost`."""
        self._next += 1
        body = envelopes.named(method, message)
        data = frames.encode_message(frames.REQUEST, self._next, body)
        try:
            sent = socket.send_fds(self._socket, [data], list(descriptors)) if descriptors else 0
            self._socket.sendall(data[sent:])
        except OSError as error:
            raise Lost(f"the sandbox's supervisor is gone: {error}") from error
        return self._next

    def tell(self, method: str, message: object) -> None:
        """`post` something whose answer nobody will ask for."""
        self._unwanted.add(self.post(method, message))

    def wait_reply(self, number: int, reply: type[T], *, timeout_s: float | None) -> T:
        """The reply to request `number`; raises what the supervisor raised."""
        while number not in self._answers:
            self.receive(timeout_s=timeout_s)
        kind, body = self._answers.pop(number)
        if kind == frames.ERROR:
            raise envelopes.error_of(body)
        return codec.decode(reply, body)

    def answered(self, number: int) -> bool:
        """Whether the reply to request `number` has arrived."""
        return number in self._answers

    def receive(self, *, timeout_s: float | None) -> None:
        """Take in what has arrived, waiting for something; raises `Lost` or `TimedOut`."""
        self._socket.settimeout(timeout_s)
        try:
            data = self._socket.recv(_READ_BYTES)
        except TimeoutError as error:
            raise TimedOut(f"the supervisor did not answer in {timeout_s:g} s") from error
        except OSError as error:
            raise Lost(f"the sandbox's supervisor is gone: {error}") from error
        if not data:
            raise Lost("the sandbox's supervisor is gone")
        for frame in self._decoder.feed(data):
            self._take(frame)

    def call(
        self,
        method: str,
        message: object,
        reply: type[T],
        *,
        descriptors: Sequence[int] = (),
        timeout_s: float | None = 300,
    ) -> T:
        """`post` and `wait_reply`."""
        return self.wait_reply(self.post(method, message, descriptors), reply, timeout_s=timeout_s)

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def _take(self, frame: Frame) -> None:
        if frame.kind not in (frames.REPLY, frames.ERROR):
            return
        whole = self._assembler.add(frame)
        if whole is None:
            return
        if frame.number in self._unwanted:
            self._unwanted.remove(frame.number)
        else:
            self._answers[frame.number] = (frame.kind, whole)


def connect(directory: Path) -> Connection:
    """A connection to the supervisor of the sandbox in `directory`; see `open_socket`."""
    return Connection(open_socket(directory))


def open_socket(directory: Path) -> socket.socket:
    """Reach the supervisor of the sandbox in `directory`; raises `NotFound` if it is gone."""
    try:
        return unixsocket.connect(directory, SOCKET_NAME)
    except OSError as error:
        raise NotFound("container not running") from error
