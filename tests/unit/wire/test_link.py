"""The host's end of a connection whose other end does as it likes."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from enclos.errors import EnclosError, Lost, MachineFailed, WrongState
from enclos.wire import codec, frames
from enclos.wire.frames import Frame
from enclos.wire.inputs import Input
from enclos.wire.link import Handlers, Link, Request
from enclos.wire.messages import STREAM_WINDOW, Failure, Nothing

MIB = 1024 * 1024
T = TypeVar("T")


class Peer:
    """A link of ours and the bare socket at its other end."""

    def __init__(self, handlers: Handlers | None = None) -> None:
        ours, self.socket = socket.socketpair()
        self.socket.setblocking(False)
        self.ended: list[EnclosError] = []
        used = handlers or Handlers()
        used.closed = self.ended.append
        self.link = Link(ours, used, name="agent")
        self._decoder = frames.Decoder()

    def say(self, kind: int, number: int, payload: bytes = b"") -> None:
        self.socket.send(frames.encode(kind, number, payload))

    def heard(self) -> list[Frame]:
        """What has arrived by now."""
        found: list[Frame] = []
        try:
            while data := self.socket.recv(MIB):
                found += self._decoder.feed(data)
        except BlockingIOError:
            return found
        return found


def playing(play: Callable[[Peer], Awaitable[T]], handlers: Handlers | None = None) -> T:
    """Let `play` use a link inside a loop."""

    async def run() -> T:
        peer = Peer(handlers)
        try:
            return await play(peer)
        finally:
            peer.link.close()
            peer.socket.close()

    return asyncio.run(run())


async def turns(count: int = 4) -> None:
    """Let the loop go round."""
    for _ in range(count):
        await asyncio.sleep(0)


def _pour(writing: int) -> int:
    """Write until the pipe is full."""
    written = 0
    try:
        while True:
            written += os.write(writing, bytes(65_536))
    except BlockingIOError:
        return written


def test_credit_never_exceeds_the_window() -> None:
    async def play(peer: Peer) -> int:
        stdin = Input(peer.link, peer.link.number())
        peer.say(frames.CREDIT, stdin.number, b"\xff" * 4)
        await turns()
        return stdin.remaining

    assert playing(play) == STREAM_WINDOW


def test_a_stream_rests_while_the_other_side_does_not_read() -> None:
    async def play(peer: Peer) -> None:
        stdin = Input(peer.link, peer.link.number())
        reading, writing = os.pipe2(os.O_NONBLOCK)
        stdin.attach(reading, ends=True)
        poured = 0
        for _ in range(200):
            poured += _pour(writing)
            peer.say(frames.CREDIT, stdin.number, b"\xff" * 4)
            await turns()
        assert poured < 4 * MIB, "held in memory for somebody who does not read"
        os.close(writing)
        arrived = 0
        while not (last := peer.heard()) or last[-1].kind != frames.END:
            arrived += sum(len(frame.payload) for frame in last)
            await turns()
        assert arrived + sum(len(frame.payload) for frame in last) == poured
        assert not peer.ended

    playing(play)


def test_who_reads_nothing_of_what_it_asks_for_is_given_up() -> None:
    async def play(peer: Peer) -> None:
        sent = 0
        while not peer.ended and sent < 100 * MIB:
            peer.link.event("told", "x" * (frames.MAX_PAYLOAD - 100))
            sent += frames.MAX_PAYLOAD
        assert 32 * MIB < sent < 80 * MIB
        assert isinstance(peer.ended[0], Lost)
        assert peer.ended[0].message == "agent does not read what it is sent"

    playing(play)


def test_small_pieces_count_as_well() -> None:
    async def play(peer: Peer) -> None:
        for _ in range(400_000):
            peer.link.grant(7, 1)
        assert peer.ended

    playing(play)


def test_a_fault_of_ours_ends_the_connection_instead_of_losing_frames() -> None:
    def broken(_name: str, _body: bytes) -> None:
        raise KeyError("gone")

    async def play(peer: Peer) -> None:
        peer.say(frames.EVENT, 0, b"exited\n{}")
        await turns()
        assert isinstance(peer.ended[0], MachineFailed)
        assert peer.ended[0].message == "agent: internal error: KeyError('gone')"

    playing(play, Handlers(event=broken))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (OSError(28, "No space left on device"), "start: [Errno 28] No space left on device"),
        (KeyError("c"), "start: internal error: KeyError('c')"),
        (WrongState("it is stopped"), "it is stopped"),
    ],
)
def test_whatever_becomes_of_a_request_it_is_answered(fault: Exception, said: str) -> None:
    async def fails(_request: Request) -> object:
        raise fault

    async def play(peer: Peer) -> None:
        peer.say(frames.REQUEST, 2, b"start\n{}")
        await turns()
        (answer,) = peer.heard()
        assert (answer.kind, answer.number) == (frames.ERROR, 2)
        assert codec.decode(Failure, answer.payload).message == said
        assert not peer.ended

    playing(play, Handlers(request=fails))


def test_numbers_begin_anew_and_pass_over_those_in_use() -> None:
    async def play(peer: Peer) -> None:
        first = peer.link.number()
        Input(peer.link, first)
        peer.link._next = 2**32 - 2  # where four billion numbers would have brought it
        found = [peer.link.number() for _ in range(3)]
        assert (first, found) == (2, [2**32 - 1, 1, 3])
        calling = asyncio.create_task(peer.link.call("hello", Nothing(), Nothing, timeout_s=20))
        await turns()
        (asked,) = peer.heard()
        peer.say(frames.REPLY, asked.number, b"{}")
        assert await calling == Nothing()

    playing(play)


def test_a_reply_that_does_not_decode_ends_the_connection() -> None:
    async def play(peer: Peer) -> None:
        calling = asyncio.create_task(peer.link.call("stats", Nothing(), Nothing, timeout_s=20))
        await turns()
        (asked,) = peer.heard()
        peer.say(frames.REPLY, asked.number, b"[]")
        with pytest.raises(Lost, match="agent answered stats with what does not decode"):
            await calling
        assert isinstance(peer.ended[0], Lost)

    playing(play)
