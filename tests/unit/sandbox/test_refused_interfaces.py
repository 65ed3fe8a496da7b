"""An interface that the guest would not take is unplugged when it is not wanted any more."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from enclos.errors import GuestFailed
from enclos.plan.network import NOTHING, Wanted
from enclos.sandbox import networks, plugging
from enclos.sandbox.plugging import Attached
from enclos.wire.rtnetlink import Link

if TYPE_CHECKING:
    from enclos.sandbox.live import Sandbox

LINK = Link(7, "eth1", "veth", 1, 1, "02:00:00:00:00:07", 1500, 0, ipv6=False, accept_ra=0)


class Guest:
    """Has its port back when the interface goes; takes none while `refuses`."""

    def __init__(self) -> None:
        self.plugged: set[int] = set()
        self.gone: tuple[int, ...] = ()
        self.refuses = True

    async def call(self, _: str, message: Any, *__: object, **___: object) -> None:
        if self.refuses and message.interfaces:
            raise GuestFailed("cannot set up the network: interface eth1: File exists")
        self.gone = message.gone

    async def unplug_nic(self, slot: int) -> None:
        self.plugged.discard(slot)


def test_its_port_is_free_again(monkeypatch: pytest.MonkeyPatch) -> None:
    guest, there = Guest(), [LINK]
    sandbox = cast("Sandbox", SimpleNamespace(agent=lambda: guest, the_machine=lambda: guest))

    async def joined(*_: object) -> tuple[None, int]:
        guest.plugged.add(3)
        return None, 3

    monkeypatch.setattr(plugging, "_join_tap", joined)
    monkeypatch.setattr(networks, "_look", lambda _: Wanted(tuple(there)))

    async def play() -> Attached:
        name = SimpleNamespace(name="own")
        attached = Attached(
            cast("Any", name), ExitStack(), False, cast("Any", None), cast("Any", None)
        )
        for _ in range(2):
            with pytest.raises(GuestFailed):
                await networks.refresh(sandbox, attached)
        assert guest.plugged == {3}
        there.clear()
        await networks.refresh(sandbox, attached)
        return attached

    attached = asyncio.run(play())
    assert (guest.plugged, guest.gone) == (set(), (LINK.index,))
    assert (attached.ports, attached.now) == ({}, NOTHING)
