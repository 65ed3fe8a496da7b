"""Requests to handlers and their answers back: the table of what the agent can do.

Every handler is a coroutine of an agent and a message that returns the reply's message or
raises an error of ours; it may answer at once or much later.
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Coroutine
from typing import Any, Final

from enclos.errors import EnclosError, GuestFailed, InvalidRequest
from enclos.guest import (
    console,
    containers,
    devices,
    identity,
    listeners,
    memory,
    mirror,
    network,
    power,
    processes,
    projections,
    resolvers,
    share,
    signals,
    statistics,
    table,
)  # fmt: skip
from enclos.guest.agent import Agent
from enclos.guest.tasks import Promise, start
from enclos.wire import codec, envelopes, frames
from enclos.wire.frames import Frame, FrameError
from enclos.wire.messages import METHODS, Hello, Nothing


async def _hello(agent: Agent, _: Nothing) -> Hello:
    return Hello(agent.version, os.uname().release, time.monotonic_ns())


HANDLERS: Final[dict[str, Callable[[Agent, Any], Coroutine[Any, Any, object]]]] = {
    "hello": _hello,
    "identify": identity.identify,
    "clock": identity.clock,
    "rescan": devices.rescan,
    "online": devices.online,
    "share": share.mount,
    "network": network.configure,
    "watch": listeners.watch,
    "call": listeners.call,
    "mirror": mirror.mirror,
    "admit": mirror.admit,
    "answer": resolvers.answer,
    "create": containers.create,
    "start": containers.start,
    "project": projections.project,
    "exec": processes.execute,
    "signal": signals.send,
    "resize": signals.resize,
    "pause": signals.pause,
    "resume": signals.resume,
    "update": containers.update,
    "stats": statistics.figures,
    "processes": table.processes,
    "delete": containers.delete,
    "sync": power.sync,
    "trim": memory.trim,
    "poweroff": power.poweroff,
}


class Service:
    """Takes frames from the channel; `serve` says whose."""

    def __init__(self) -> None:
        self._agents: list[Agent] = []
        self._assembler = envelopes.Assembler("host")

    def serve(self, agent: Agent) -> None:
        """From now on frames belong to `agent`."""
        self._agents = [agent]

    def take(self, frame: Frame) -> None:
        """One frame of the host; raises `FrameError` for what no host of ours sends."""
        (agent,) = self._agents
        if frame.kind == frames.REQUEST:
            whole = self._assembler.add(frame)
            if whole is not None:
                _dispatch(agent, frame.number, whole)
        elif frame.kind in _STREAM_KINDS:
            agent.streams.take(frame)
        else:
            raise FrameError(f"the host sent a frame of kind {frame.kind}")


_STREAM_KINDS: Final = frozenset({frames.DATA, frames.END, frames.CREDIT, frames.RESET})


def _dispatch(agent: Agent, number: int, whole: bytes) -> None:
    answer = start(_answer(agent, *envelopes.opened(whole)))
    answer.then(lambda: agent.channel.send(frames.encode_message(*_reply(number, answer))))


async def _answer(agent: Agent, name: str, body: bytes) -> bytes:
    if name not in HANDLERS:
        raise InvalidRequest(f"the agent has no method {name[:80]!r}")
    return codec.encode(await HANDLERS[name](agent, codec.decode(METHODS[name][0], body)))


def _reply(number: int, answer: Promise[bytes]) -> tuple[int, int, bytes]:
    try:
        return frames.REPLY, number, answer.result()
    except EnclosError as error:
        return frames.ERROR, number, envelopes.failure(error)
    except Exception as error:  # noqa: BLE001 - the edge of a request: told to the host, and here
        lines = "".join(traceback.format_exception(error))
        console.say(lines)
        unknown = GuestFailed(f"the agent failed: {error!r}", detail=lines)
        return frames.ERROR, number, envelopes.failure(unknown)
