"""Requests in, answers out: the table, the errors, the bounds."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import pytest

from enclos import errors
from enclos.guest import service
from enclos.guest.agent import Agent
from enclos.guest.service import HANDLERS, Service
from enclos.guest.tasks import Promise
from enclos.wire import codec, envelopes, frames
from enclos.wire.frames import Frame, FrameError
from enclos.wire.messages import METHODS, Failure, Hello, Nothing, Signal, Target
from tests.support.port import Port


@pytest.fixture
def serving(port: Port) -> Service:
    made = Service()
    streams = port.streams
    made.serve(Agent(port.loop, port.channel, streams, cast(Any, None), "v1", 0))
    return made


def request(name: str, message: object, number: int = 5) -> Frame:
    return Frame(frames.REQUEST, number, name.encode() + b"\n" + codec.encode(message))


def failure(port: Port) -> Failure:
    (frame,) = port.received()
    assert (frame.kind, frame.number) == (frames.ERROR, 5)
    return codec.decode(Failure, frame.payload)


def test_every_method_has_a_handler() -> None:
    assert HANDLERS.keys() == METHODS.keys()


def test_hello_is_answered(port: Port, serving: Service) -> None:
    serving.take(request("hello", Nothing()))
    (frame,) = port.received()
    assert (frame.kind, frame.number) == (frames.REPLY, 5)
    assert codec.decode(Hello, frame.payload).version == "v1"


def test_an_unknown_method_is_refused(port: Port, serving: Service) -> None:
    serving.take(request("format", Nothing()))
    assert failure(port).kind == "InvalidRequest"


@pytest.mark.parametrize(
    "payload", [b"", b"hello", b"hello\n", b"hello\n[]", b"signal\n{}", b"\xff\n"]
)
def test_a_bent_request_is_an_error(port: Port, serving: Service, payload: bytes) -> None:
    serving.take(Frame(frames.REQUEST, 5, payload))
    assert failure(port).kind in {"EnclosError", "CodecError", "InvalidRequest"}


def test_our_errors_cross_whole(port: Port, serving: Service) -> None:
    serving.take(request("signal", Signal("nobody", 9)))
    assert failure(port) == Failure("NotFound", "'nobody': container does not exist")


def test_a_bug_is_told_to_the_host_and_the_console(
    port: Port, serving: Service, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setitem(HANDLERS, "sync", broken)
    serving.take(request("sync", Nothing()))
    told = failure(port)
    assert told.kind == "GuestFailed"
    assert "a bug" in told.message
    assert "test_service.py" in told.detail
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_answers_come_when_they_are_ready(
    port: Port, serving: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    promises: dict[str, Promise[Nothing]] = {"a": Promise(), "b": Promise()}

    async def later(_: Agent, target: Target) -> Nothing:
        return await promises[target.id]

    monkeypatch.setitem(HANDLERS, "start", later)
    serving.take(request("start", Target("a"), 1))
    serving.take(request("start", Target("b"), 2))
    assert not port.received()
    promises["b"].keep(Nothing())
    promises["a"].fail(errors.WrongState("no"))
    assert [(frame.kind, frame.number) for frame in port.received()] == [
        (frames.REPLY, 2),
        (frames.ERROR, 1),
    ]


def test_a_long_request_comes_in_frames_between_others(
    port: Port, serving: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []

    async def note(_: Agent, message: object) -> Nothing:
        seen.append(message)
        return Nothing()

    monkeypatch.setitem(HANDLERS, "start", note)
    whole = request("start", Target("x" * 100_000)).payload
    for start in range(0, len(whole), 30_000):
        more = int(start + 30_000 < len(whole))
        serving.take(Frame(frames.REQUEST, 5, whole[start : start + 30_000], more))
        serving.take(request("hello", Nothing(), 6))
    assert seen == [Target("x" * 100_000)]
    assert len(port.received()) == 5


def test_requests_without_end_are_given_up(serving: Service) -> None:
    piece = Frame(frames.REQUEST, 5, bytes(frames.MAX_PAYLOAD), frames.FLAG_MORE)
    for _ in range(codec.MAX_MESSAGE_BYTES // frames.MAX_PAYLOAD):
        serving.take(piece)
    with pytest.raises(FrameError):
        serving.take(piece)


def test_too_many_unfinished_requests_are_given_up(serving: Service) -> None:
    for number in range(envelopes.MOST_UNFINISHED):
        serving.take(Frame(frames.REQUEST, number, b"", frames.FLAG_MORE))
    with pytest.raises(FrameError):
        serving.take(Frame(frames.REQUEST, envelopes.MOST_UNFINISHED, b"", frames.FLAG_MORE))


@pytest.mark.parametrize("kind", [frames.REPLY, frames.ERROR, frames.EVENT])
def test_what_only_the_agent_says_is_given_up(serving: Service, kind: int) -> None:
    with pytest.raises(FrameError):
        serving.take(Frame(kind, 1))


def test_the_agent_says_events(port: Port, serving: Service) -> None:
    agent = service.Service  # the table's module is what main imports
    assert agent is Service
    made = Agent(port.loop, port.channel, port.streams, cast(Any, None), "v", 0)
    made.say("ready", Hello("v", "6.12", 1))
    (frame,) = port.received()
    assert (frame.kind, frame.number) == (frames.EVENT, 0)
    name, _, body = frame.payload.partition(b"\n")
    assert name == b"ready"
    assert dataclasses.astuple(codec.decode(Hello, body)) == ("v", "6.12", 1)
