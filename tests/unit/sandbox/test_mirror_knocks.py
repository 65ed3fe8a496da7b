"""A guest that knocks on and on costs the supervisor no more than one that does not."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from enclos.sandbox import mirror
from enclos.sandbox.mirror import Mirrored
from enclos.wire import netmessages as n

SOMEWHERE = n.Listener("192.0.2.1", 1)
CARRIED = 1024
WAITING_IN_THE_AGENT = 256


class Silent:
    """An agent that answers nothing."""

    def __init__(self) -> None:
        self.asked: list[n.Admit] = []

    async def call(self, _method: str, message: n.Admit, *_: object, timeout_s: float) -> None:
        self.asked.append(message)
        await asyncio.sleep(timeout_s)


def asked(knocks: int, *, carried: int = 0) -> list[n.Admit]:
    """What the agent is asked after so many knocks for a place that it was not told."""

    async def run() -> list[n.Admit]:
        agent = Silent()
        network = Mirrored(cast("Any", SimpleNamespace(name="n", descriptor=-1, path="")))
        for _ in range(carried):
            mirror._begin(network, asyncio.sleep(60))
        for number in range(knocks):
            mirror.knock(network, cast("Any", agent), n.Knock("n", number, SOMEWHERE))
        await asyncio.sleep(0)
        mirror.close(network)
        await asyncio.sleep(0)
        return agent.asked

    return asyncio.run(run())


def test_every_knock_of_an_honest_agent_is_answered() -> None:
    answered = asked(WAITING_IN_THE_AGENT, carried=CARRIED)
    assert len(answered) == WAITING_IN_THE_AGENT
    assert all(one.refused for one in answered)


def test_a_flood_of_knocks_is_not_answered_one_by_one() -> None:
    assert len(asked(10_000)) < 2 * CARRIED
