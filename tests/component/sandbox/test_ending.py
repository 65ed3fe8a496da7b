"""How containers end in a sandbox whose guest is slow, silent or says no."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from enclos.errors import EnclosError, GuestFailed, TimedOut
from enclos.sandbox import ending, shares
from enclos.sandbox.boot import Phases
from enclos.sandbox.live import Container, Process, Sandbox
from enclos.state import records
from enclos.state.records import ContainerRecord
from enclos.state.store import StateRoot
from enclos.wire import control as c
from tests.support.apart import apart

FIRST, OTHER = "first", "other"


class Guest:
    """An agent that answers each call with nothing, or refuses it."""

    def __init__(self, error: EnclosError | None = None) -> None:
        self.error = error

    async def call(self, *_: object, **__: object) -> None:
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error


class Machine:
    """Has disks that it does not give back."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def unplug_disk(self, serial: str) -> None:
        self.asked.append(serial)
        raise TimedOut("the guest keeps it")


def _container(root: StateRoot, name: str) -> Container:
    root.container(name).mkdir(parents=True)
    record = ContainerRecord(name, FIRST, "/b", "/r", records.now(), status="running")
    return Container(record, Process(name, "", terminal=False))


def _sandbox(place: Path, guest: Guest) -> Sandbox:
    root = StateRoot(place / "state")
    plan = SimpleNamespace(id=FIRST, share=place / "share")
    plan.share.mkdir()
    sandbox = Sandbox(cast("Any", plan), root, Phases())
    sandbox.link = cast("Any", guest)
    sandbox.machine = cast("Any", Machine())
    for name in (FIRST, OTHER):
        sandbox.containers[name] = _container(root, name)
    return sandbox


def _play(
    place: Path, guest: Guest, work: Callable[[Sandbox], Coroutine[Any, Any, object]]
) -> None:
    async def play() -> None:
        await work(_sandbox(place, guest))

    apart(lambda: asyncio.run(play()))


@pytest.mark.parametrize("error", [None, GuestFailed("no"), TimedOut("nothing was said")])
def test_a_removed_container_holds_nothing_whatever_its_guest_says(
    tmp_path: Path, error: EnclosError | None
) -> None:
    async def work(sandbox: Sandbox) -> None:
        (sandbox.plan.share / OTHER / "rootfs").mkdir(parents=True)
        container = sandbox.containers[OTHER]
        container.disks += ["disk0", "disk1"]
        await ending.remove(sandbox, c.Named(OTHER))
        assert list(sandbox.containers) == [FIRST]
        assert list(sandbox.plan.share.iterdir()) == []
        assert cast("Any", sandbox.machine).asked == ["disk0", "disk1"]
        assert container.init.over.is_set()
        assert records.load_container(sandbox.root, OTHER).status == "stopped"
        assert not sandbox.ending

    _play(tmp_path, Guest(error), work)


def test_what_cannot_be_released_keeps_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError(16, "busy")

    async def work(sandbox: Sandbox) -> None:
        attached = SimpleNamespace(users={OTHER, FIRST})
        sandbox.networks["n"] = cast("Any", attached)
        monkeypatch.setattr(shares, "unbind", broken)
        await ending.remove(sandbox, c.Named(OTHER))
        assert attached.users == {FIRST}
        assert list(sandbox.containers) == [FIRST]

    _play(tmp_path, Guest(), work)


def test_a_container_can_be_removed_twice_at_once(tmp_path: Path) -> None:
    async def work(sandbox: Sandbox) -> None:
        twice = (ending.remove(sandbox, c.Named(OTHER)) for _ in range(2))
        assert await asyncio.gather(*twice) == [None, None]
        assert list(sandbox.containers) == [FIRST]

    _play(tmp_path, Guest(), work)
