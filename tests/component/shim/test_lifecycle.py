"""Calls of containerd that fail half way, come twice, or are overtaken by a process' end."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from enclos.errors import HostUnfit, NotFound
from enclos.linux import fork
from enclos.sandbox.live import Container, Process
from enclos.shim import children, lifecycle, running, watching
from enclos.shim.proto import task_pb2
from enclos.shim.stdio import Names, Stdio
from enclos.shim.tasks import Proc, Shim, Task
from tests.support.apart import apart

NAME = "c"
LIMIT_S = 20

Body = Callable[[], Coroutine[Any, Any, str]]


class Output:
    """Takes descriptors over, as the engine does."""

    def __init__(self) -> None:
        self.taken: list[int] = []

    def attach(self, descriptor: int, *, ends: bool = True) -> None:
        assert ends
        self.taken.append(descriptor)


def _unknown(name: str) -> None:
    raise NotFound(name)


class World:
    """A shim whose verbs of the engine are what the test says; what it publishes is kept."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.verbs: list[Body] = []
        self.published: list[tuple[str, int]] = []

        def publish(event: Any) -> None:
            self.published.append((type(event).__name__, event.pid))

        publisher: Any = SimpleNamespace(publish=publish)
        sandbox: Any = SimpleNamespace(failed=None, ending=False, container=_unknown)
        nothing: Any = None
        self.shim = Shim("ns", nothing, nothing, -1, publisher, sandbox, unified=True)
        self.process = Process(NAME, "", terminal=False)

        async def run(*_: object, **__: object) -> str:
            return await self.verbs.pop(0)()

        monkeypatch.setattr(children, "run", run)

    def created(self, names: Names) -> Task:
        """A task that is there already, as `Create` leaves it."""
        streams = Stdio(names, descriptors=[os.open("/dev/null", os.O_WRONLY) for _ in range(2)])
        task = Task(NAME, Path("/b"), Proc(NAME, "", streams, pid=7, live=self.process))
        self.process.outputs += [Output(), Output()]  # type: ignore[list-item]
        self.process.stdin = Output()  # type: ignore[assignment]
        self.shim.tasks[NAME] = task
        return task

    def taken(self) -> list[int]:
        """How many descriptors each of the process' streams has taken over."""
        streams: list[Any] = [self.process.stdin, *self.process.outputs]
        counts = [len(stream.taken) for stream in streams]
        for stream in streams:
            for descriptor in stream.taken:
                os.close(descriptor)
        return counts

    async def status(self) -> str:
        answer = await running.state(self.shim, task_pb2.StateRequest(id=NAME))
        return task_pb2.Status.Name(answer.status)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


async def _unfit() -> str:
    raise HostUnfit("no network for you", hint="plug one in")


async def _done() -> str:
    return "7"


def _start(world: World) -> Coroutine[Any, Any, object]:
    return lifecycle.start(world.shim, task_pb2.StartRequest(id=NAME))


def test_a_start_that_failed_can_be_tried_again(world: World, tmp_path: Path) -> None:
    fifo = tmp_path / "in"
    os.mkfifo(fifo)
    world.verbs += [_unfit, _done]

    async def play() -> None:
        task = world.created(Names(stdin=os.fspath(fifo)))
        with pytest.raises(HostUnfit, match="no network"):
            await _start(world)
        assert await world.status() == "CREATED"
        await _start(world)
        assert await world.status() == "RUNNING"
        assert world.taken() == [1, 1, 1]
        task.init.streams.close()

    asyncio.run(play())
    assert world.published == [("TaskStart", 7)]


def test_a_task_whose_start_failed_can_be_deleted(world: World, tmp_path: Path) -> None:
    world.verbs.append(_done)

    async def play() -> None:
        task = world.created(Names(stdin=os.fspath(tmp_path / "gone")))
        with pytest.raises(Exception, match="cannot open the standard input"):
            await _start(world)
        task.init.over.set()  # as the engine's delete has it
        await lifecycle.delete(world.shim, task_pb2.DeleteRequest(id=NAME))
        assert not world.shim.tasks

    asyncio.run(play())
    assert world.published == [("TaskDelete", 7)]


def test_an_end_during_start_is_told_after_it(world: World) -> None:
    async def ends() -> str:
        world.process.over.set()
        await asyncio.sleep(0.01)
        return ""

    world.verbs.append(ends)

    async def play() -> None:
        task = world.created(Names())
        task.init.live = None
        watching.begun(world.shim, world.process)
        await _start(world)
        await task.init.over.wait()
        assert await world.status() == "STOPPED"
        world.taken()

    asyncio.run(play())
    assert world.published == [("TaskStart", 7), ("TaskExit", 7)]


def _create(world: World, *, stdout: str = "") -> Coroutine[Any, Any, object]:
    return lifecycle.create(
        world.shim, task_pb2.CreateTaskRequest(id=NAME, bundle="/b", stdout=stdout)
    )


def test_an_end_during_create_is_told_after_it(world: World) -> None:
    async def ends() -> str:
        watching.begun(world.shim, world.process)
        world.process.over.set()
        await asyncio.sleep(0.01)
        return "7"

    world.verbs.append(ends)

    async def play() -> None:
        await _create(world)
        task = world.shim.tasks[NAME]
        await task.init.over.wait()
        task.init.streams.close()

    asyncio.run(play())
    assert world.published == [("TaskCreate", 7), ("TaskExit", 7)]


def test_of_a_create_that_fails_nothing_is_told_or_followed(world: World) -> None:
    container = Container(cast("Any", None), world.process)
    cast("Any", world.shim.sandbox).container = {NAME: container}.__getitem__

    async def ends() -> str:
        watching.begun(world.shim, world.process)
        world.process.over.set()
        await asyncio.sleep(0.01)
        return await _unfit()

    world.verbs.append(ends)

    async def play() -> None:
        with pytest.raises(HostUnfit):
            await _create(world)
        await asyncio.sleep(0.01)  # what was cancelled ends in the loop's next rounds
        assert not world.shim.tasks
        assert not world.shim.background

    asyncio.run(play())
    assert world.published == []


def test_the_logger_of_a_create_that_fails_is_collected(world: World, tmp_path: Path) -> None:
    program = tmp_path / "logger"
    program.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec 5>&-\ncat <&3\n")
    program.chmod(0o755)
    world.verbs.append(_unfit)

    async def play() -> None:
        with pytest.raises(HostUnfit):
            await _create(world, stdout=f"binary://{program}")
        await asyncio.wait_for(asyncio.gather(*world.shim.background), LIMIT_S)
        number = int((tmp_path / "pid").read_text())
        assert not os.path.exists(f"/proc/{number}")

    def adopting() -> None:
        fork.become_subreaper()
        asyncio.run(play())

    apart(adopting)


def test_of_two_deletes_at_once_one_finds_nothing(world: World) -> None:
    async def slow() -> str:
        await asyncio.sleep(0.01)
        return ""

    world.verbs += [slow, slow]

    async def play() -> list[str]:
        task = world.created(Names())
        task.init.over.set()
        request = task_pb2.DeleteRequest(id=NAME)
        both = [lifecycle.delete(world.shim, request) for _ in range(2)]
        answers = await asyncio.gather(*both, return_exceptions=True)
        return sorted(type(answer).__name__ for answer in answers)

    assert asyncio.run(play()) == ["DeleteResponse", "NotFound"]
    assert world.published == [("TaskDelete", 7)]
