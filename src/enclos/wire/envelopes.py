"""What a message travels in: its name before it, frames around it, an error in its place.

The ends of a connection have this in common, whether they wait in a loop, block, or are the
guest's. Shared with the guest.
"""

from __future__ import annotations

from typing import Final

from enclos import errors
from enclos.errors import EnclosError
from enclos.wire import codec
from enclos.wire.frames import Frame, FrameError
from enclos.wire.messages import Failure

MOST_UNFINISHED: Final = 64
_MOST_BYTES: Final = 2 * codec.MAX_MESSAGE_BYTES
"""What unfinished messages of one peer may take together: a hostile one must not fill us."""


def named(name: str, message: object) -> bytes:
    """The payload of a request or an event; raises `CodecError` when over the size limit."""
    return name.encode() + b"\n" + codec.encode(message)


def opened(payload: bytes) -> tuple[str, bytes]:
    """Name and message of such a payload; whether there is such a name is not asked."""
    name, _, body = payload.partition(b"\n")
    return name.decode("ascii", "replace"), body


def failure(error: EnclosError) -> bytes:
    """An error of our tree as it crosses a socket."""
    return codec.encode(Failure(type(error).__name__, error.message, error.hint, error.detail))


def error_of(payload: bytes) -> EnclosError:
    """The error that the other side had; raises `CodecError` for what is none."""
    told = codec.decode(Failure, payload)
    return errors.by_name(told.kind)(told.message, hint=told.hint, detail=told.detail)


class Assembler:
    """Puts the messages of one peer together from frames that come between those of others."""

    __slots__ = ("_bytes", "_partial", "_peer")

    def __init__(self, peer: str) -> None:
        self._peer = peer
        self._partial: dict[int, bytearray] = {}
        self._bytes = 0

    def add(self, frame: Frame) -> bytes | None:
        """The whole message once its last frame is here; raises `FrameError` for too much."""
        number = frame.number
        if not frame.flags and number not in self._partial:
            return frame.payload
        buffer = self._partial.setdefault(number, bytearray())
        buffer += frame.payload
        self._bytes += len(frame.payload)
        if len(buffer) > codec.MAX_MESSAGE_BYTES:
            raise FrameError(f"{self._peer}: message is over {codec.MAX_MESSAGE_BYTES} bytes")
        if len(self._partial) > MOST_UNFINISHED or self._bytes > _MOST_BYTES:
            raise FrameError(f"{self._peer}: too many unfinished messages")
        if frame.flags:
            return None
        del self._partial[number]
        self._bytes -= len(buffer)
        return bytes(buffer)
