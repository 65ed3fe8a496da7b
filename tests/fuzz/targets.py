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
from enclos.shim import ttrpc
from enclos.shim.calls import Method
from enclos.shim.proto import task_pb2, ttrpc_pb2
from enclos.shim.server import Connection, Server
from enclos.wire import codec, frames
from enclos.wire.codec import CodecError
from enclos.wire.frames import Decoder, Frame, FrameError
from enclos.wire.link import Handlers, Link
from enclos.wire.messages import METHODS
from enclos.wire.outputs import Output as HostOutput
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


def shim(dice: random.Random) -> None:
    """The shim's server answers every request frame of whatever a client sends, and stays."""
    asyncio.run(_shim(dice))


async def _shim(dice: random.Random) -> None:
    strange: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: strange.append(context))
    ours, theirs = socket.socketpair()
    server = Server({"s": {"Echo": Method(task_pb2.StateRequest, _state)}})
    await loop.connect_accepted_socket(lambda: Connection(server), ours)
    data = mutate.bend(dice, b"".join(_ttrpc_frame(dice, 2 * at + 1) for at in range(4)))
    frames_sent = ttrpc.Decoder().feed(data)
    theirs.setblocking(False)
    for piece in mutate.cut(dice, data):
        theirs.send(piece)
        await asyncio.sleep(0)
    for _ in range(8):
        await asyncio.sleep(0)
    answered = _received(theirs)
    asked = [frame.stream for frame in frames_sent if frame.kind != ttrpc.RESPONSE]
    assert sorted(answered) == sorted(asked), (answered, asked)
    server.close()
    theirs.close()
    await asyncio.sleep(0)
    assert not strange, strange


async def _state(request: Any) -> Any:
    return task_pb2.StateResponse(id=request.id)


def _ttrpc_frame(dice: random.Random, stream: int) -> bytes:
    message = task_pb2.StateRequest(id="x" * dice.randrange(9)).SerializeToString()
    request = ttrpc_pb2.Request(
        service=dice.choice(("s", "s", "t")),
        method=dice.choice(("Echo", "Echo", "Other")),
        payload=mutate.bend(dice, message),
        timeout_nano=dice.choice((0, -1, 10**10)),
    )
    kind = dice.choice((ttrpc.REQUEST, ttrpc.REQUEST, ttrpc.DATA, ttrpc.RESPONSE, 0, 9))
    flags = dice.choice((0, 0, ttrpc.REMOTE_OPEN, ttrpc.REMOTE_CLOSED, 4))
    return ttrpc.encode(ttrpc.Frame(stream, kind, flags, request.SerializeToString()))


def _received(connection: socket.socket) -> list[int]:
    """The streams of the responses that have come, each of which can be read."""
    data = b""
    try:
        while piece := connection.recv(1 << 20):
            data += piece
    except BlockingIOError:
        found = ttrpc.Decoder().feed(data)
        assert all(frame.kind == ttrpc.RESPONSE for frame in found)
        for frame in found:
            ttrpc_pb2.Response.FromString(frame.payload)
        return [frame.stream for frame in found]
    raise AssertionError("the server closed the connection")


TARGETS: Final[dict[str, Callable[[random.Random], None]]] = {
    "frames": frame_decoder,
    "messages": message_decoder,
    "agent": agent,
    "host": host,
    "shim": shim,
}
