"""Frames: how bytes are cut on the agent's port and on a supervisor's socket.

A frame is a 12-byte little-endian header (`docs/protocol.md`) and a payload:

    u32 length   payload bytes, at most MAX_PAYLOAD
    u32 number   request or stream the frame belongs to
    u8  kind     see Kind
    u8  flags    FLAG_MORE: the message goes on in the next frame of this number
    u16 zero     reserved, must be 0

Decoding is total: anything outside the bounds raises `FrameError`, nothing else.
Shared with the guest: standard library only, no import that a fast verb could not afford.
"""

from __future__ import annotations

from enclos.errors import EnclosError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

HEADER_BYTES: Final = 12
MAX_PAYLOAD: Final = 32768 - HEADER_BYTES
"""One virtio-serial write carries 32 KiB at most, so a frame never needs two."""
FLAG_MORE: Final = 1

REQUEST: Final = 1
REPLY: Final = 2
ERROR: Final = 3
EVENT: Final = 4
DATA: Final = 5
END: Final = 6
CREDIT: Final = 7
RESET: Final = 8
KINDS: Final = range(REQUEST, RESET + 1)


class FrameError(EnclosError):
    """Bytes that are no frame: the connection they came from cannot be used any more."""


class Frame:
    """One decoded frame."""

    __slots__ = ("flags", "kind", "number", "payload")

    def __init__(self, kind: int, number: int, payload: bytes = b"", flags: int = 0) -> None:
        self.kind = kind
        self.number = number
        self.payload = payload
        self.flags = flags

    def __repr__(self) -> str:
        return f"Frame({self.kind}, {self.number}, {len(self.payload)} bytes, {self.flags})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Frame) and (
            (self.kind, self.number, self.payload, self.flags)
            == (other.kind, other.number, other.payload, other.flags)
        )

    __hash__ = None  # type: ignore[assignment]


def header(kind: int, number: int, length: int, flags: int = 0) -> bytes:
    """The 12 header bytes of a frame whose payload has `length` bytes."""
    if length > MAX_PAYLOAD:
        raise FrameError(f"frame payload of {length} bytes is over {MAX_PAYLOAD}")
    return length.to_bytes(4, "little") + number.to_bytes(4, "little") + bytes((kind, flags, 0, 0))


def encode(kind: int, number: int, payload: bytes = b"", flags: int = 0) -> bytes:
    """A whole frame; raises `FrameError` if the payload is too long for one."""
    return header(kind, number, len(payload), flags) + payload


def encode_message(kind: int, number: int, payload: bytes) -> bytes:
    """A message of any length as one or more frames."""
    if len(payload) <= MAX_PAYLOAD:
        return encode(kind, number, payload)
    parts: list[bytes] = []
    for start in range(0, len(payload), MAX_PAYLOAD):
        piece = payload[start : start + MAX_PAYLOAD]
        more = FLAG_MORE if start + MAX_PAYLOAD < len(payload) else 0
        parts.append(encode(kind, number, piece, more))
    return b"".join(parts)


class Decoder:
    """Cuts a byte stream into frames; keeps at most one incomplete frame."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Frame]:
        """All frames completed by `data`; raises `FrameError` on bytes that are none."""
        if self._rest:
            data = self._rest + data
        frames: list[Frame] = []
        at, end = 0, len(data)
        while end - at >= HEADER_BYTES:
            length = int.from_bytes(data[at : at + 4], "little")
            kind, flags = data[at + 8], data[at + 9]
            if length > MAX_PAYLOAD or kind not in KINDS or flags > FLAG_MORE:
                raise FrameError(f"not a frame header: {data[at : at + HEADER_BYTES].hex()}")
            if data[at + 10] or data[at + 11]:
                raise FrameError("reserved header bytes are not zero")
            stop = at + HEADER_BYTES + length
            if stop > end:
                break
            number = int.from_bytes(data[at + 4 : at + 8], "little")
            frames.append(Frame(kind, number, data[at + HEADER_BYTES : stop], flags))
            at = stop
        self._rest = data[at:]
        return frames

    @property
    def pending(self) -> int:
        """Bytes of an incomplete frame that wait for their rest."""
        return len(self._rest)
