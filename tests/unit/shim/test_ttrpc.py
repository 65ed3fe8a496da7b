from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclos.shim import ttrpc
from enclos.shim.ttrpc import Decoder, Frame

FRAMES = st.builds(
    Frame,
    stream=st.integers(0, 2**32 - 1),
    kind=st.integers(0, 255),
    flags=st.integers(0, 255),
    payload=st.binary(max_size=200),
)


@given(st.lists(FRAMES, max_size=6), st.integers(1, 64))
def test_what_is_encoded_is_decoded_in_any_pieces(frames: list[Frame], size: int) -> None:
    data = b"".join(map(ttrpc.encode, frames))
    decoder, found = Decoder(), list[Frame]()
    for at in range(0, len(data), size):
        found += decoder.feed(data[at : at + size])
    assert found == frames
    assert decoder.pending == 0


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_any_bytes_are_taken_within_bounds(pieces: list[bytes]) -> None:
    decoder = Decoder()
    for piece in pieces:
        decoder.feed(piece)
        assert decoder.pending <= sum(map(len, pieces))


def test_the_bytes_are_the_documented_ones() -> None:
    frame = Frame(stream=3, kind=ttrpc.REQUEST, flags=0, payload=b"ab")
    assert ttrpc.encode(frame) == b"\0\0\0\2\0\0\0\3\1\0ab"


def test_an_oversize_frame_is_told_at_once_and_skipped() -> None:
    decoder = Decoder()
    length = ttrpc.MAX_PAYLOAD + 1
    header = length.to_bytes(4, "big") + b"\0\0\0\5\1\0"
    assert decoder.feed(header) == [Frame(5, ttrpc.REQUEST, oversize=True)]
    for _ in range(length // 65536):
        assert decoder.feed(bytes(65536)) == []
        assert decoder.pending == 0
    rest = bytes(length % 65536)
    after = Frame(7, ttrpc.REQUEST, payload=b"x")
    assert decoder.feed(rest + ttrpc.encode(after)) == [after]


def test_a_payload_over_the_limit_is_not_encoded() -> None:
    with pytest.raises(ValueError, match="over"):
        ttrpc.encode(Frame(1, ttrpc.RESPONSE, payload=bytes(ttrpc.MAX_PAYLOAD + 1)))


def test_a_payload_at_the_limit_is_held_and_given() -> None:
    whole = Frame(1, ttrpc.REQUEST, payload=bytes(ttrpc.MAX_PAYLOAD))
    assert Decoder().feed(ttrpc.encode(whole)) == [whole]
