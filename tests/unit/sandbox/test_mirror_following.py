"""One follower a network, and none of one that is closed."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from enclos.errors import GuestFailed
from enclos.sandbox import mirror
from enclos.sandbox.mirror import Mirrored

PERIOD_S = 60


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Mirrored:
    """One whose guest takes its time to be told."""

    async def slow(*_: object) -> None:
        await asyncio.sleep(0.01)

    monkeypatch.setattr(mirror, "_tell", slow)
    return Mirrored(cast("Any", SimpleNamespace(name="n", descriptor=-1, path="")))


async def _look(network: Mirrored) -> None:
    nobody = cast("Any", None)
    await mirror.look(network, nobody, nobody, period_s=PERIOD_S)


async def _followers() -> int:
    await asyncio.sleep(0.01)  # a cancelled one ends in the loop's next round
    return len(asyncio.all_tasks()) - 1


def test_two_looks_at_once_make_one_follower(network: Mirrored) -> None:
    async def play() -> tuple[int, int]:
        await asyncio.gather(_look(network), _look(network))
        during = await _followers()
        mirror.close(network)
        return during, await _followers()

    assert asyncio.run(play()) == (1, 0)


def test_a_network_closed_while_it_is_looked_at_is_not_followed(network: Mirrored) -> None:
    async def play() -> int:
        looking = asyncio.create_task(_look(network))
        await asyncio.sleep(0)
        mirror.close(network)
        await looking
        return await _followers()

    assert asyncio.run(play()) == 0


def test_a_guest_that_refuses_again_and_again_is_logged_once(
    network: Mirrored, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    refusals = 0

    async def refuse(*_: object) -> None:
        nonlocal refusals
        refusals += 1
        raise GuestFailed("no")

    monkeypatch.setattr(mirror, "_tell", refuse)

    async def play() -> None:
        nobody = cast("Any", None)
        following = asyncio.create_task(mirror._follow(network, nobody, nobody, 0))
        while refusals < 10:
            await asyncio.sleep(0)
        following.cancel()

    asyncio.run(play())
    assert capfd.readouterr().err.count("the guest misses listeners") == 1
