"""The loop: descriptors that are ready, timers that are due."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from enclos.guest.loop import READ, WRITE, Loop


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    for descriptor in (reading, writing):
        try:
            os.close(descriptor)
        except OSError:
            continue  # closed by the test


def test_a_ready_descriptor_is_called(pipe: tuple[int, int]) -> None:
    loop, seen = Loop(), list[bytes]()
    loop.watch(pipe[0], READ, lambda _: seen.append(os.read(pipe[0], 10)))
    os.write(pipe[1], b"here")
    loop.step()
    assert seen == [b"here"]


def test_what_is_watched_can_change_and_end(pipe: tuple[int, int]) -> None:
    loop, seen = Loop(), list[int]()
    loop.watch(pipe[1], 0, seen.append)
    loop.later(0, lambda: seen.append(-1))
    loop.step()
    loop.watch(pipe[1], WRITE, seen.append)
    loop.step()
    loop.forget(pipe[1])
    loop.forget(pipe[1])
    loop.later(0, lambda: seen.append(-2))
    loop.step()
    assert seen == [-1, WRITE, -2]


def test_a_descriptor_forgotten_in_the_same_round_is_not_called() -> None:
    loop, seen = Loop(), list[int]()
    pipes = [os.pipe(), os.pipe()]

    def drop_all(_: int) -> None:
        seen.append(1)
        for reading, _writing in pipes:
            loop.forget(reading)

    for reading, writing in pipes:
        loop.watch(reading, READ, drop_all)
        os.write(writing, b"x")
    loop.step()
    assert seen == [1]
    for reading, writing in pipes:
        os.close(reading)
        os.close(writing)


def test_timers_come_in_order() -> None:
    loop, seen = Loop(), list[str]()
    loop.later(0.002, lambda: seen.append("second"))
    loop.later(0.001, lambda: seen.append("first"))
    loop.later(0.002, lambda: seen.append("third"))
    while len(seen) < 3:
        loop.step()
    assert seen == ["first", "second", "third"]
