"""The host's receiving end of a stream, beside a link that only notes what it is told."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from enclos.wire import frames
from enclos.wire.frames import FrameError
from enclos.wire.link import Link, Receiver
from enclos.wire.messages import STREAM_WINDOW
from enclos.wire.outputs import Output

PIECE = bytes(32_000)


class NotingLink:
    """As much of a link as an output uses."""

    def __init__(self) -> None:
        self.receivers: dict[int, Receiver] = {}
        self.granted = 0
        self.sent: list[bytes] = []

    def grant(self, _number: int, extra: int) -> None:
        self.granted += extra

    def send(self, data: bytes) -> None:
        self.sent.append(data)


def within(act: Callable[[NotingLink, Output], None]) -> NotingLink:
    """Let `act` use an output inside a loop."""
    link = NotingLink()

    async def run() -> None:
        act(link, Output(cast(Link, link), 7))

    asyncio.run(run())
    return link


def test_a_guest_that_ignores_its_credit_is_given_up() -> None:
    """A descriptor that nobody reads must not make the supervisor hold all a guest can send."""
    reading, writing = os.pipe()

    def flood(link: NotingLink, output: Output) -> None:
        output.attach(writing)
        sent = 0
        while sent + len(PIECE) <= STREAM_WINDOW + link.granted:
            output.feed(PIECE)
            sent += len(PIECE)
        with pytest.raises(FrameError, match="stream 7: more than was granted"):
            output.feed(PIECE)

    link = within(flood)
    os.close(reading)
    assert link.granted < STREAM_WINDOW


def test_credit_comes_back_as_it_is_used() -> None:
    def flow(link: NotingLink, output: Output) -> None:
        for _ in range(200):
            output.feed(PIECE)
        output.finish()
        assert output.flushed.is_set()

    assert within(flow).granted > 200 * len(PIECE) - STREAM_WINDOW


def test_the_only_reader_gone_resets_the_stream() -> None:
    reading, writing = os.pipe()
    os.close(reading)

    def write(link: NotingLink, output: Output) -> None:
        output.attach(writing)
        output.feed(b"for nobody")
        assert output.flushed.is_set(), "no END follows, so nobody may wait for it"
        assert not link.receivers

    assert within(write).sent == [frames.encode(frames.RESET, 7)]


ROOM = 10


@pytest.fixture
def full_disk() -> Iterator[None]:
    """Files take `ROOM` bytes and no more, as on a full disk: the write that meets it is short."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.usefixtures("full_disk")
def test_a_file_on_a_full_disk_takes_what_it_can_and_is_given_up(tmp_path: Path) -> None:
    link = NotingLink()

    async def run() -> None:
        output = Output(cast(Link, link), 7)
        output.attach(os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT, 0o600))
        output.feed(b"y" * 100)
        await asyncio.wait_for(output.flushed.wait(), 20)

    asyncio.run(run())
    assert (tmp_path / "out").read_bytes() == b"y" * ROOM
    assert link.sent == [frames.encode(frames.RESET, 7)]
