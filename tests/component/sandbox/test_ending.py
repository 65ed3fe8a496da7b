"""How containers end in a sandbox whose guest is slow, silent or says no."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from enclos.errors import EnclosError, GuestFailed, TimedOut
from enclos.sandbox import (
    containers,
    ending,
    growth,
    networks,
    outputlog,
    shares,
    starvation,
    supervisor,
)
from enclos.sandbox.boot import Phases
from enclos.sandbox.live import Container, Process, Sandbox
from enclos.state import records
from enclos.state.records import ContainerRecord
from enclos.state.store import StateRoot
from enclos.wire import codec, frames
from enclos.wire import control as c
from enclos.wire import messages as m
from enclos.wire.link import Handlers, Link
from enclos.wire.outputs import Output
from tests.support.apart import apart

FIRST, OTHER = "first", "other"
PIECE, PIECES = bytes(30_000), 5
"""More than a pipe holds, less than a socket."""
LIMIT_S = 20


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


def test_an_end_that_takes_time_is_told_once_and_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    async def slow(_: object, container: Container) -> None:
        await asyncio.sleep(0.1)
        told.append(container.record.id)

    async def work(sandbox: Sandbox) -> None:
        monkeypatch.setattr(starvation, "mirror", slow)
        container = sandbox.containers[OTHER]
        ends = [asyncio.ensure_future(ending.finish(sandbox, container)) for _ in range(2)]
        await asyncio.sleep(0)
        await ending.finish(sandbox, sandbox.containers[FIRST])
        await asyncio.gather(*ends)
        assert sorted(told) == [FIRST, OTHER]

    _play(tmp_path, Guest(), work)


class Wire:
    """The guest's end of a link: says what it is told to, and reads nothing."""

    def __init__(self, sandbox: Sandbox) -> None:
        ours, self._theirs = socket.socketpair()
        self.link = Link(ours, Handlers(event=partial(ending.on_event, sandbox)), name="agent")

    def stream(self, process: Process, *, count: int) -> int:
        """Output of a process, ended; answers the descriptor that it is read from."""
        reader, writer = os.pipe()
        output = Output(self.link, self.link.number())
        process.outputs.append(output)
        output.attach(writer)
        for _ in range(count):
            self.say(frames.encode(frames.DATA, output.number, PIECE))
        self.say(frames.encode(frames.END, output.number))
        return reader

    def exited(self, process: Process) -> None:
        body = b"exited\n" + codec.encode(m.Exited(process.id, process.exec_id, 0, 1))
        self.say(frames.encode_message(frames.EVENT, 0, body))

    def say(self, data: bytes) -> None:
        self._theirs.sendall(data)


@pytest.mark.parametrize("whose", ["exec", "container"])
def test_nothing_ends_before_the_output_of_those_that_ended_before_is_out(
    tmp_path: Path, whose: str
) -> None:
    async def work(sandbox: Sandbox) -> None:
        wire = Wire(sandbox)
        first, other = sandbox.containers.values()
        process = other.init
        if whose == "exec":
            process = first.execs["e"] = Process(FIRST, "e", terminal=False)
            other.record = replace(other.record, status="stopped")
        reader = wire.stream(process, count=PIECES)
        wire.exited(process)
        wire.exited(first.init)
        await asyncio.sleep(0.2)
        assert first.init.ended is not None
        assert not sandbox.ending
        assert not process.over.is_set()
        got = 0
        while got < PIECES * len(PIECE):
            got += len(await asyncio.to_thread(os.read, reader, 1 << 20))
        await asyncio.wait_for(sandbox.finish.wait(), LIMIT_S)
        assert process.over.is_set()

    _play(tmp_path, Guest(), work)


def _full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_status_is_told_though_nothing_can_be_written_or_released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[str] = []

    def close(attached: Any) -> None:
        closed.append(attached)
        _full()

    async def work(sandbox: Sandbox) -> None:
        monkeypatch.setattr(records, "save_container", _full)
        monkeypatch.setattr(records, "remove_sandbox", _full)
        monkeypatch.setattr(networks, "close", close)
        sandbox.networks.update(one=cast("Any", "one"), two=cast("Any", "two"))
        sandbox.link = None
        sandbox.machine = None
        sandbox.ready.set()
        stack = ExitStack()
        stack.callback(closed.append, "stack")
        stack.callback(_full)
        waiting = asyncio.create_task(containers.wait(sandbox, c.Named(OTHER)))
        await asyncio.sleep(0)
        sandbox.containers[OTHER].init.ended = c.Ended(0)
        ending.stop(sandbox, "")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(os.fspath(tmp_path / "socket"))
        listener.listen()
        start = cast("Any", None)
        with monkeypatch.context() as booting:
            booting.setattr(supervisor, "_boot", _nothing)
            await supervisor._live(sandbox, start, stack, listener=listener, front=None)
        assert (await asyncio.wait_for(waiting, LIMIT_S)).status == 0
        assert sorted(closed) == ["one", "stack", "two"]
        listener.close()

    _play(tmp_path, Guest(), work)


async def _nothing(*_: object, **__: object) -> None:
    return None


def test_a_member_of_which_nothing_can_be_written_is_taken_out_of_the_guest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would be there until its pod ends, and nobody would know."""

    asked: list[str] = []

    async def call(method: str, *_: object, **__: object) -> m.Started:
        await _nothing()
        asked.append(method)
        return m.Started(7)

    async def joined(*_: object, **__: object) -> str:
        await _nothing()
        return "n"

    async def work(sandbox: Sandbox) -> None:
        monkeypatch.setattr(containers, "_wire", lambda *_, **__: m.Stdio())
        sandbox.link = cast("Any", SimpleNamespace(call=call))
        (sandbox.plan.share / "new").mkdir()
        sandbox.ready.set()
        monkeypatch.setattr(shares, "bind", lambda *_: None)
        monkeypatch.setattr(networks, "join", joined)
        monkeypatch.setattr(growth, "grow", _nothing)
        monkeypatch.setattr(records, "save_container", _full)
        record = ContainerRecord("new", FIRST, "/b", "/r", records.now())
        text = records.encode_container(record)
        request = c.Create("new", "{}", text, 0, c.Channels(), attached=False)
        given = [os.open("/dev/null", os.O_RDONLY) for _ in range(2)]
        with pytest.raises(OSError, match="No space left"):
            await containers.create(sandbox, request, given[:])
        assert asked == ["create", "delete"]
        assert list(sandbox.containers) == [FIRST, OTHER]
        assert list(sandbox.plan.share.iterdir()) == []
        assert not sandbox.ending

    _play(tmp_path, Guest(), work)


def test_a_containers_log_is_closed_when_its_output_is_in(tmp_path: Path) -> None:
    async def work(sandbox: Sandbox) -> None:
        wire = Wire(sandbox)
        sandbox.link = wire.link
        process = sandbox.containers[OTHER].init
        before = len(os.listdir("/proc/self/fd"))
        log = tmp_path / "log"
        wiring = containers._wire(sandbox, process, c.Channels(), log=os.fspath(log))
        for number in (wiring.stdout, wiring.stderr):
            wire.say(frames.encode(frames.DATA, number, b"x"))
            wire.say(frames.encode(frames.END, number))
        wire.exited(process)
        await asyncio.wait_for(process.over.wait(), LIMIT_S)
        assert len(os.listdir("/proc/self/fd")) == before
        with log.open("rb") as source:
            assert [chunk.stream for chunk in outputlog.read(source)] == ["stdout", "stderr"]

    _play(tmp_path, Guest(), work)
