"""Streams in the guest: credit, ends and refusals, with pipes as the processes' ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random

import pytest

from enclos.guest.streams import Input, Output
from enclos.wire import frames
from enclos.wire.frames import Frame
from enclos.wire.messages import STREAM_WINDOW
from tests.support.port import Port

NUMBER = 9


def pipe() -> tuple[int, int]:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 1 << 20)
    os.set_blocking(writing, False)
    return reading, writing


def test_output_is_sent_and_ended(port: Port) -> None:
    reading, writing = pipe()
    output = Output(port.streams, NUMBER)
    output.attach(reading)
    os.write(writing, b"hello")
    port.run()
    os.close(writing)
    port.run()
    assert port.received() == [Frame(frames.DATA, NUMBER, b"hello"), Frame(frames.END, NUMBER)]
    assert output.ended.done
    assert NUMBER not in port.streams


def test_output_stops_at_its_credit_and_goes_on(port: Port) -> None:
    reading, writing = pipe()
    Output(port.streams, NUMBER).attach(reading)
    data = random.Random(0).randbytes(3 * STREAM_WINDOW)
    left, found = memoryview(data), b""
    for granted in (STREAM_WINDOW, STREAM_WINDOW + 100, STREAM_WINDOW + 100 + 200_000):
        for _ in range(200):
            with contextlib.suppress(BlockingIOError):
                left = left[os.write(writing, left) :]
            port.run()
            found += b"".join(frame.payload for frame in port.received())
        assert found == data[:granted]
        extra = 100 if granted == STREAM_WINDOW else 200_000
        port.send(frames.CREDIT, NUMBER, extra.to_bytes(4, "little"))
    os.close(writing)


@pytest.mark.parametrize("payload", [b"", b"\1", b"\1\0\0\0\0"])
def test_a_bent_credit_is_ignored(port: Port, payload: bytes) -> None:
    Output(port.streams, NUMBER)
    port.send(frames.CREDIT, NUMBER, payload)
    assert not port.received()


def test_reset_closes_the_reading_end(port: Port) -> None:
    reading, writing = pipe()
    output = Output(port.streams, NUMBER)
    output.attach(reading)
    port.send(frames.RESET, NUMBER)
    with pytest.raises(BrokenPipeError):
        os.write(writing, b"for nobody")
    assert output.ended.done
    assert not port.received()
    os.close(writing)


def test_outputs_share_a_slow_port(port: Port) -> None:
    """A full port parks them; nothing is lost and nobody starves."""
    ends: dict[int, int] = {}
    for number in (1, 2):
        reading, ends[number] = pipe()
        Output(port.streams, number).attach(reading)
    sent = {number: random.Random(number).randbytes(1_000_000) for number in ends}
    for number, writing in ends.items():
        assert os.write(writing, sent[number]) == len(sent[number])
        os.close(writing)
    port.run(20)
    assert port.channel.busy
    found, ended, order = {1: b"", 2: b""}, set[int](), list[int]()
    while len(ended) < 2:
        for frame in port.received():
            if frame.kind == frames.END:
                ended.add(frame.number)
            else:
                found[frame.number] += frame.payload
                order.append(frame.number)
        port.run()
    assert found == sent
    assert {1, 2} == set(order[: len(order) // 2])


def test_an_output_reset_before_it_had_a_descriptor(port: Port) -> None:
    output = Output(port.streams, NUMBER)
    port.send(frames.RESET, NUMBER)
    reading, writing = pipe()
    output.attach(reading)
    with pytest.raises(BrokenPipeError):
        os.write(writing, b"x")
    os.close(writing)


def test_input_is_written_and_closed(port: Port) -> None:
    reading, writing = pipe()
    Input(port.streams, NUMBER).attach(writing)
    port.send(frames.DATA, NUMBER, b"one ")
    port.send(frames.DATA, NUMBER, b"two")
    port.send(frames.END, NUMBER)
    assert os.read(reading, 100) == b"one two"
    assert os.read(reading, 100) == b""
    os.close(reading)


def test_input_before_the_descriptor_is_kept(port: Port) -> None:
    source = Input(port.streams, NUMBER)
    port.send(frames.DATA, NUMBER, b"early")
    port.send(frames.END, NUMBER)
    reading, writing = pipe()
    source.attach(writing)
    assert os.read(reading, 100) == b"early"
    assert os.read(reading, 100) == b""
    os.close(reading)


def test_input_grants_what_the_reader_took(port: Port) -> None:
    reading, writing = os.pipe()
    Input(port.streams, NUMBER).attach(writing)
    sent = total = 0
    piece = bytes(30_000)
    while sent + len(piece) <= STREAM_WINDOW:
        port.send(frames.DATA, NUMBER, piece)
        sent += len(piece)
    assert not port.received()
    while total < sent:
        total += len(os.read(reading, 65_536))
        port.run()
    granted = [int.from_bytes(frame.payload, "little") for frame in port.received()]
    assert sum(granted) > sent - STREAM_WINDOW // 4
    assert min(granted) >= STREAM_WINDOW // 4
    os.close(reading)


def test_more_than_was_granted_resets_the_stream(port: Port) -> None:
    Input(port.streams, NUMBER)
    for _ in range(STREAM_WINDOW // 30_000 + 1):
        port.send(frames.DATA, NUMBER, bytes(30_000))
    assert port.received() == [Frame(frames.RESET, NUMBER)]
    port.send(frames.DATA, NUMBER, b"late")
    assert not port.received()


def test_a_reader_that_closes_resets_the_stream_at_once(port: Port) -> None:
    reading, writing = pipe()
    Input(port.streams, NUMBER).attach(writing)
    os.close(reading)
    port.run()
    assert port.received() == [Frame(frames.RESET, NUMBER)]


def test_no_reset_after_the_end(port: Port) -> None:
    reading, writing = os.pipe()
    Input(port.streams, NUMBER).attach(writing)
    for _ in range(10):
        port.send(frames.DATA, NUMBER, bytes(30_000))
    port.send(frames.END, NUMBER)
    os.close(reading)
    port.run()
    assert not port.received()
    assert NUMBER not in port.streams
