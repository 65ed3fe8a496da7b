"""A blocking ttrpc client, written from the protocol's description: containerd's side of a shim."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from google.protobuf.message import Message

from enclos.shim.proto import ttrpc_pb2

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class Answer:
    """A response as it came: code 0 is success."""

    stream: int
    code: int
    message: str
    payload: bytes


class Failed(Exception):
    """A call that was answered with an error."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"code {answer.code}: {answer.message}")
        self.code, self.text = answer.code, answer.message


def header(length: int, stream: int, kind: int = 1, flags: int = 0) -> bytes:
    return length.to_bytes(4, "big") + stream.to_bytes(4, "big") + bytes((kind, flags))


class Client:
    """One connection."""

    def __init__(self, connection: socket.socket, *, timeout_s: float = 60) -> None:
        connection.settimeout(timeout_s)
        self.socket = connection
        self._stream = -1
        self._early: dict[int, Answer] = {}

    @classmethod
    def dial(cls, path: Path, *, timeout_s: float = 60) -> Client:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(path))
        return cls(connection, timeout_s=timeout_s)

    def post(
        self, service: str, method: str, message: Message, *, timeout_s: float = 0, flags: int = 0
    ) -> int:
        """Send a request; its stream's number."""
        self._stream += 2
        request = ttrpc_pb2.Request(
            service=service,
            method=method,
            payload=message.SerializeToString(),
            timeout_nano=int(timeout_s * 1e9),
        ).SerializeToString()
        self.socket.sendall(header(len(request), self._stream, 1, flags) + request)
        return self._stream

    def receive(self) -> Answer:
        """The next response, whichever request it is for."""
        head = self._exactly(10)
        body = self._exactly(int.from_bytes(head[:4], "big"))
        assert head[8:] == b"\2\0", head
        response = ttrpc_pb2.Response.FromString(body)
        stream = int.from_bytes(head[4:8], "big")
        return Answer(stream, response.status.code, response.status.message, response.payload)

    def answer(self, stream: int) -> Answer:
        """The response on `stream`."""
        while stream not in self._early:
            found = self.receive()
            self._early[found.stream] = found
        return self._early.pop(stream)

    def call(
        self, service: str, method: str, message: Message, reply: type[M], *, timeout_s: float = 0
    ) -> M:
        """Send a request and wait for what it answers; raises `Failed`."""
        found = self.answer(self.post(service, method, message, timeout_s=timeout_s))
        if found.code:
            raise Failed(found)
        return reply.FromString(found.payload)

    def close(self) -> None:
        self.socket.close()

    def _exactly(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            piece = self.socket.recv(count - len(found))
            if not piece:
                raise ConnectionError("the shim closed the connection")
            found += piece
        return found
