"""Lanes between real descriptors: order, back pressure, ends."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from enclos.cli import lanes
from enclos.cli.lanes import Lane


def pump(moving: Sequence[Lane], *, rounds: int = 100_000) -> None:
    """Turn the loop until all lanes have ended."""
    for _ in range(rounds):
        poller = select.poll()
        ready = {lane.interest()[0]: lane for lane in moving if lane.open}
        if not ready:
            return
        for descriptor, lane in ready.items():
            poller.register(descriptor, lane.interest()[1])
        for descriptor, _ in poller.poll(5000):
            ready[descriptor].move()
    raise AssertionError("it does not end")


def test_everything_arrives_in_order_past_a_slow_reader() -> None:
    source, feed = os.pipe()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    data = os.urandom(300_000)
    taken: list[bytes] = []

    def take(piece: bytes) -> bytes:
        taken.append(piece)
        return b""

    with ThreadPoolExecutor(1) as pool, ours, theirs:
        written = pool.submit(_write_all, feed, data)
        lane = Lane(source, ours.fileno(), at_end=lanes.half_close(ours))
        pump([lane, Lane(theirs.fileno(), 1, through=take)])
        written.result()
    os.close(source)
    assert b"".join(taken) == data


def _write_all(descriptor: int, data: bytes) -> None:
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def test_a_reader_that_goes_away_ends_the_lane() -> None:
    source, feed = os.pipe()
    read, write = os.pipe()
    ended: list[bool] = []
    lane = Lane(source, write, at_end=lambda: ended.append(True))
    os.close(read)
    os.write(feed, b"x")
    lane.move()
    assert not lane.open
    assert ended == [True]
    for descriptor in (source, feed, write):
        os.close(descriptor)


def test_draining_takes_what_is_there_and_does_not_wait() -> None:
    source, feed = os.pipe()
    read, write = os.pipe()
    os.write(feed, b"left over")
    lane = Lane(source, write)
    lane.drain()
    assert os.read(read, 100) == b"left over"
    assert lane.open
    for descriptor in (source, feed, read, write):
        os.close(descriptor)
