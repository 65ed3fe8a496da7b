"""ttrpc's requests and responses: from a payload to a call, from an outcome to a payload.

No socket here. Which codes a client acts upon is in the one table of `errors`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from functools import partial
from typing import Any, Final

from google.protobuf.message import DecodeError, Message

from enclos.errors import TTRPC_CODES, EnclosError, InvalidRequest, code_of
from enclos.shim.proto import ttrpc_pb2
from enclos.structs import dataclass

INVALID_ARGUMENT: Final = 3
DEADLINE_EXCEEDED: Final = 4
RESOURCE_EXHAUSTED: Final = 8
UNIMPLEMENTED: Final = 12
INTERNAL: Final = 13
_MESSAGE_CHARACTERS: Final = 4096
"""Of an error's text: it is shown to a person, and a guest may have had a say in it."""


@dataclass(frozen=True, slots=True)
class Method:
    """One row of a service: the request's class and who answers it.

    `waits`: it only waits, so that it may be given up when its caller has gone.
    """

    request: type[Message]
    handler: Callable[[Any], Awaitable[Message]]
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A request as it arrived, its message not looked at yet."""

    service: str
    method: str
    payload: bytes
    timeout_s: float | None
    metadata: dict[str, str] = field(default_factory=dict[str, str])


Rows = Mapping[str, tuple[type[Message], Callable[[Any, Any], Awaitable[Message]]]]
"""A service's methods by name: the request's class, and who answers it for a subject."""


def bind(rows: Rows, subject: object, *, waiting: str) -> dict[str, Method]:
    """The rows, their handlers bound to `subject`; the one called `waiting` only waits."""
    return {
        name: Method(request, partial(handler, subject), waits=name == waiting)
        for name, (request, handler) in rows.items()
    }


def decode_call(payload: bytes) -> Call:
    """The call in the payload of a request frame; raises `InvalidRequest`."""
    request = ttrpc_pb2.Request()
    _parse(request, payload, "ttrpc request")
    return Call(
        service=request.service,
        method=request.method,
        payload=request.payload,
        timeout_s=request.timeout_nano / 1e9 if request.timeout_nano > 0 else None,
        metadata={pair.key: pair.value for pair in request.metadata},
    )


def decode_message(kind: type[Message], payload: bytes) -> Message:
    """The message of a call; raises `InvalidRequest`."""
    message = kind()
    _parse(message, payload, kind.DESCRIPTOR.name)
    return message


def _parse(message: Message, payload: bytes, what: str) -> None:
    try:
        message.ParseFromString(payload)
    except DecodeError as error:
        raise InvalidRequest(f"{what}: {error}") from error


def success(answer: Message) -> bytes:
    """The payload of a response that carries `answer`."""
    return ttrpc_pb2.Response(payload=answer.SerializeToString()).SerializeToString()


def failure(code: int, message: str) -> bytes:
    """The payload of a response that carries an error."""
    status = ttrpc_pb2.Status(code=code, message=message[:_MESSAGE_CHARACTERS])
    return ttrpc_pb2.Response(status=status).SerializeToString()


def failed(error: EnclosError) -> bytes:
    """The payload of a response for an error of our tree: one line, the hint in it."""
    hint = f" ({error.hint})" if error.hint else ""
    return failure(code_of(error, TTRPC_CODES), f"{error.message}{hint}")
