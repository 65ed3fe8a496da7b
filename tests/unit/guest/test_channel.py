"""The channel: order and completeness whatever the port takes at once."""

from __future__ import annotations

import random

import pytest

from enclos.wire import frames
from enclos.wire.frames import Frame, FrameError
from tests.support.port import Port


def test_frames_arrive(port: Port) -> None:
    port.send(frames.DATA, 3, b"abc")
    port.send(frames.END, 3)
    assert port.taken == [Frame(frames.DATA, 3, b"abc"), Frame(frames.END, 3)]


def test_a_slow_host_gets_everything_in_order(port: Port) -> None:
    sent = [Frame(frames.DATA, n, random.Random(n).randbytes(30_000)) for n in range(100)]
    for frame in sent:
        port.channel.send(frames.encode(frame.kind, frame.number, frame.payload))
    assert port.settle() == sent


def test_who_waits_for_room_is_called_once(port: Port) -> None:
    calls: list[str] = []
    port.fill(frames.encode(frames.DATA, 1, bytes(30_000)))
    port.channel.when_idle(lambda: calls.append("a"))
    port.channel.when_idle(lambda: calls.append("b"))
    port.run()
    assert not calls
    port.settle()
    assert calls == ["a", "b"]


def test_the_sent_buffer_may_be_reused(port: Port) -> None:
    buffer = bytearray(frames.encode(frames.DATA, 1, b"x" * 30_000))
    count = port.fill(buffer)
    buffer[:] = bytes(len(buffer))
    assert port.settle() == [Frame(frames.DATA, 1, b"x" * 30_000)] * count


def test_rubbish_is_not_swallowed(port: Port) -> None:
    with pytest.raises(FrameError):
        port.send(9, 1)


def test_frames_before_the_end_are_taken_and_the_end_does_not_spin(port: Port) -> None:
    port.host.sendall(frames.encode(frames.END, 5) + b"\1")
    port.host.close()
    port.run(2)
    assert port.taken == [Frame(frames.END, 5)]
    calls: list[int] = []
    port.loop.later(0.01, lambda: calls.append(1))
    rounds = 0
    while not calls:
        port.loop.step()
        rounds += 1
    assert rounds < 5
