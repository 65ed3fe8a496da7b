"""What is fuzzed. Each target is one round with one set of dice, and fails by an exception."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import Callable
from typing import Any, Final, cast
from unittest import mock

from enclos.errors import EnclosError
from enclos.guest import service
from enclos.guest.agent import Agent
from enclos.guest.channel import Channel
from enclos.guest.loop import Loop
from enclos.guest.streams import Input, Output, Streams
from enclos.wire import codec, frames
from enclos.wire.codec import CodecError
from enclos.wire.frames import Decoder, Frame, FrameError
from enclos.wire.link import Handlers, Link
from enclos.wire.messages import METHODS
from enclos.wire.streams import Output as HostOutput
from tests.fuzz import mutate
from tests.support.messages import KINDS

_HEADER: Final = struct.Struct("<IIBBH")


def frame_decoder(dice: random.Random) -> None:
    """The decoder agrees with the page, read once more in the simplest way, in any pieces."""
    source = dice.choice((mutate.from_host, mutate.from_guest))
    data = mutate.bend(dice, b"".join(source(dice) for _ in range(dice.randrange(1, 5))))
    expected, sound = _simple(data)
    decoder, found = Decoder(), list[Frame]()
    try:
        for piece in mutate.cut(dice, data):
            found += decoder.feed(piece)
            assert decoder.pending < frames.HEADER_BYTES + frames.MAX_PAYLOAD
    except FrameError:
        assert not sound
        assert found == expected[: len(found)]
        return
    assert sound
    assert found == expected


def _simple(data: bytes) -> tuple[list[Frame], bool]:
    """The frames of `data`, and whether the rest may become one."""
    found: list[Frame] = []
    while len(data) >= _HEADER.size:
        length, number, kind, flags, zero = _HEADER.unpack_from(data)
        if length > 32_756 or not 1 <= kind <= 8 or flags > 1 or zero:
            return found, False
        if len(data) < _HEADER.size + length:
            break
        payload = data[_HEADER.size : _HEADER.size + length]
        found.append(Frame(kind, number, payload, flags))
        data = data[_HEADER.size + length :]
    return found, True


def message_decoder(dice: random.Random) -> None:
    """What is decoded is of its type, can be encoded, and is the same again."""
    kind = dice.choice(KINDS)
    sent = mutate.message(dice, dice.choice((kind, kind, dice.choice(KINDS))))
    data = mutate.bend(dice, codec.encode(sent))
    try:
        found = codec.decode(kind, data)
    except CodecError:
        return
    assert type(found) is kind
    assert codec.decode(kind, codec.encode(found)) == found


def agent(dice: random.Random) -> None:
    """The agent takes what the host may send, or gives up by FrameError; its bounds hold."""
    ours, theirs = socket.socketpair()
    with ours, theirs, mock.patch.dict(service.HANDLERS, dict.fromkeys(METHODS, _harmless)):
        ours.setblocking(False)
        theirs.setblocking(False)
        loop, table = Loop(), service.Service()
        channel = Channel(loop, ours.fileno(), table.take)
        streams = Streams(loop, channel)
        table.serve(Agent(loop, channel, streams, cast(Any, None), "version", 0))
        Input(streams, 1), Output(streams, 2)
        data = mutate.bend(dice, b"".join(mutate.from_host(dice) for _ in range(8)))
        try:
            for frame in Decoder().feed(data):
                table.take(frame)
                _drain(theirs)
        except FrameError:
            return


async def _harmless(_: Agent, message: Any) -> Any:
    return message


def _drain(connection: socket.socket) -> None:
    try:
        while connection.recv(1 << 20):
            continue
    except BlockingIOError:
        return


def host(dice: random.Random) -> None:
    """The host's link takes what a hostile guest may send, or closes for a reason of ours."""
    asyncio.run(_host(dice))


async def _host(dice: random.Random) -> None:
    strange: list[dict[str, Any]] = []
    reasons: list[EnclosError] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: strange.append(context))
    ours, theirs = socket.socketpair()
    link = Link(ours, Handlers(closed=reasons.append), name="agent")
    HostOutput(link, 2)
    calls: list[asyncio.Task[Any]] = [
        asyncio.create_task(link.call(name, mutate.message(dice, kinds[0]), kinds[1], timeout_s=9))
        for name, kinds in dice.sample(sorted(METHODS.items()), 2)
    ]
    theirs.setblocking(False)
    data = mutate.bend(dice, b"".join(mutate.from_guest(dice) for _ in range(6)))
    for piece in mutate.cut(dice, data):
        await asyncio.sleep(0)
        if not reasons:
            theirs.send(piece)
    for _ in range(4):
        await asyncio.sleep(0)
    link.close()
    theirs.close()
    for outcome in await asyncio.gather(*calls, return_exceptions=True):
        if isinstance(outcome, BaseException) and not isinstance(outcome, EnclosError):
            raise outcome
    assert not strange, strange
    assert isinstance(reasons[0], EnclosError)


TARGETS: Final[dict[str, Callable[[random.Random], None]]] = {
    "frames": frame_decoder,
    "messages": message_decoder,
    "agent": agent,
    "host": host,
}
