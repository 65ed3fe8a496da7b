"""A network that its last user gives up while somebody joins is taken apart once, and made anew."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from enclos.network import namespace
from enclos.sandbox import networks, plugging

if TYPE_CHECKING:
    from collections.abc import Iterator

    from enclos.sandbox.live import Sandbox

IDENTITY = (4, 4026531840)


@pytest.fixture
def happened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is done to interfaces and networks, in order; to unplug takes its time."""
    events: list[str] = []

    @contextmanager
    def opened(_: int, name: str) -> Iterator[Any]:
        yield SimpleNamespace(identity=IDENTITY, name=name)

    async def unplug(_: object, attached: Any, index: int) -> None:
        events.append(f"unplug of {attached.namespace.name}")
        await asyncio.sleep(0.01)
        del attached.ports[index]

    async def refresh(_: object, attached: Any) -> None:
        events.append(f"{attached.namespace.name} plugged")

    def close(attached: Any) -> None:
        events.append(f"{attached.namespace.name} closed")

    monkeypatch.setattr(namespace, "opened", opened)
    monkeypatch.setattr(networks, "_watch", lambda *_: None)
    monkeypatch.setattr(plugging, "unplug", unplug)
    monkeypatch.setattr(networks, "refresh", refresh)
    monkeypatch.setattr(networks, "close", close)
    return events


def test_who_joins_meanwhile_waits_and_has_it_anew(happened: list[str]) -> None:
    sandbox = cast("Sandbox", SimpleNamespace(networks={}))

    async def join(container: str) -> str:
        request: Any = SimpleNamespace(
            id=container, network=f"of-{container}", shared_network=False, own_network=False
        )
        return await networks.join(sandbox, request, -1, None, ExitStack())

    async def play() -> str:
        await join("a")
        sandbox.networks["of-a"].ports[2] = cast("Any", None)
        leaving = asyncio.create_task(networks.leave(sandbox, "a"))
        await asyncio.sleep(0)
        joined = await join("b")
        await leaving
        return joined

    assert asyncio.run(play()) == "of-b"
    assert happened == ["of-a plugged", "unplug of of-a", "of-a closed", "of-b plugged"]
    assert list(sandbox.networks) == ["of-b"]
