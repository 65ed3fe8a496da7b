"""Frames: what was encoded comes out, in whatever pieces it arrives; nothing else does."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclos.wire import frames
from enclos.wire.frames import Decoder, Frame, FrameError

NUMBERS = st.integers(0, 2**32 - 1)
FRAMES = st.builds(
    Frame, st.sampled_from(frames.KINDS), NUMBERS, st.binary(max_size=300), st.integers(0, 1)
)


def encoded(items: list[Frame]) -> bytes:
    return b"".join(frames.encode(f.kind, f.number, f.payload, f.flags) for f in items)


def fed(pieces: list[bytes]) -> tuple[list[Frame], bool]:
    """The frames of `pieces` up to the first that is none, and whether there was one."""
    decoder, found = Decoder(), []
    for piece in pieces:
        try:
            found += decoder.feed(piece)
        except FrameError:
            return found, True
    return found, False


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@given(st.lists(FRAMES, max_size=6), st.lists(st.integers(0), max_size=8))
def test_frames_come_out_whatever_the_pieces(items: list[Frame], places: list[int]) -> None:
    assert fed(cut(encoded(items), places)) == (items, False)


@given(st.lists(FRAMES, max_size=3), FRAMES, st.integers(0))
def test_an_unfinished_frame_waits(items: list[Frame], last: Frame, place: int) -> None:
    tail = encoded([last])
    tail = tail[: place % len(tail)]
    decoder = Decoder()
    assert decoder.feed(encoded(items) + tail) == items
    assert decoder.pending == len(tail)


@given(st.binary(max_size=200))
def test_any_bytes_are_frames_or_an_error(data: bytes) -> None:
    fed([data])


@given(st.lists(FRAMES, max_size=3), st.binary(max_size=60), st.lists(st.integers(0), max_size=6))
def test_rubbish_is_found_whatever_the_pieces(
    items: list[Frame], rubbish: bytes, places: list[int]
) -> None:
    data = encoded(items) + rubbish
    bytewise = fed([data[at : at + 1] for at in range(len(data))])
    found, broken = fed(cut(data, places))
    assert broken == bytewise[1]
    assert found == bytewise[0][: len(found)]


@pytest.mark.parametrize(
    ("at", "value"),
    [(2, 1), (3, 255), (8, 0), (8, 9), (8, 255), (9, 2), (9, 255), (10, 1), (11, 128)],
)
def test_a_header_out_of_bounds_is_no_frame(at: int, value: int) -> None:
    data = bytearray(frames.encode(frames.DATA, 7, b"x"))
    data[at] = value
    with pytest.raises(FrameError):
        Decoder().feed(bytes(data))


def test_the_header_is_as_the_page_says() -> None:
    assert frames.encode(frames.DATA, 0x01020304, b"ab", frames.FLAG_MORE) == bytes(
        [2, 0, 0, 0, 4, 3, 2, 1, 5, 1, 0, 0, ord("a"), ord("b")]
    )


def test_the_longest_payload_fits_one_write_of_the_port() -> None:
    assert len(frames.encode(frames.DATA, 1, bytes(frames.MAX_PAYLOAD))) == 32768
    with pytest.raises(FrameError, match="32757"):
        frames.encode(frames.DATA, 1, bytes(frames.MAX_PAYLOAD + 1))


@given(st.integers(0, 4 * frames.MAX_PAYLOAD + 2), NUMBERS)
def test_a_message_is_cut_and_put_together(length: int, number: int) -> None:
    payload = (b"0123456789abcde" * (length // 15 + 1))[:length]
    found = Decoder().feed(frames.encode_message(frames.EVENT, number, payload))
    assert b"".join(frame.payload for frame in found) == payload
    assert [frame.flags for frame in found] == [1] * (len(found) - 1) + [0]
    assert {(frame.kind, frame.number) for frame in found} == {(frames.EVENT, number)}
