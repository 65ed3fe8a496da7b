"""ttrpc's frames: how containerd cuts bytes on a shim's socket, both ways.

A frame is a 10-byte big-endian header (`length u32 | stream u32 | type u8 | flags u8`) and a
payload. Decoding is total: whatever comes is a frame, and one over the limit is skipped and
reported, so that its sender can be told.
"""

from __future__ import annotations

from typing import Final

from enclos.structs import dataclass

HEADER_BYTES: Final = 10
MAX_PAYLOAD: Final = 4 << 20

REQUEST: Final = 1
RESPONSE: Final = 2
DATA: Final = 3

REMOTE_CLOSED: Final = 1
"""The sender sends no more on this stream."""
REMOTE_OPEN: Final = 2
"""The sender goes on with data frames: it is no unary call."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame; `oversize` if its payload was over the limit, and so was thrown away."""

    stream: int
    kind: int
    flags: int = 0
    payload: bytes = b""
    oversize: bool = False


def encode(frame: Frame) -> bytes:
    """The bytes of a frame; raises `ValueError` for a payload over the limit."""
    length = len(frame.payload)
    if length > MAX_PAYLOAD:
        raise ValueError(f"ttrpc payload of {length} bytes is over {MAX_PAYLOAD}")
    numbers = length.to_bytes(4, "big") + frame.stream.to_bytes(4, "big")
    return numbers + bytes((frame.kind, frame.flags)) + frame.payload


class Decoder:
    """Cuts a byte stream into frames; keeps one incomplete frame, within the limit."""

    __slots__ = ("_rest", "_skip")

    def __init__(self) -> None:
        self._rest = bytearray()
        self._skip = 0

    @property
    def pending(self) -> int:
        """Bytes that are held until the rest of their frame arrives."""
        return len(self._rest)

    def feed(self, data: bytes) -> list[Frame]:
        """All frames that `data` completes; an oversize one as soon as its header is there."""
        frames: list[Frame] = []
        self._rest += data
        while True:
            self._drop()
            if len(self._rest) < HEADER_BYTES:
                return frames
            length = int.from_bytes(self._rest[:4], "big")
            stream = int.from_bytes(self._rest[4:8], "big")
            kind, flags = self._rest[8], self._rest[9]
            if length > MAX_PAYLOAD:
                frames.append(Frame(stream, kind, flags, oversize=True))
                self._skip = HEADER_BYTES + length
                continue
            end = HEADER_BYTES + length
            if len(self._rest) < end:
                return frames
            frames.append(Frame(stream, kind, flags, bytes(self._rest[HEADER_BYTES:end])))
            del self._rest[:end]

    def _drop(self) -> None:
        """Throw away what belongs to an oversize frame."""
        if self._skip:
            dropped = min(self._skip, len(self._rest))
            del self._rest[:dropped]
            self._skip -= dropped
