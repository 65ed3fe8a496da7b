"""Who waits for a container to run out of memory hears of each kill, and of its end."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from enclos import log
from enclos.sandbox import release, starvation
from enclos.sandbox.live import Container, Process, Sandbox
from enclos.state.records import ContainerRecord
from enclos.state.store import StateRoot
from enclos.wire import control as c
from enclos.wire import messages as m

NAME = "c"


class Fake:
    """A sandbox as far as it is needed here: its containers, and where their records are."""

    def __init__(self, root: Path) -> None:
        self.root = StateRoot(root)
        record = ContainerRecord(NAME, NAME, "/b", "/r", "")
        self.containers = {NAME: Container(record, Process(NAME, "", terminal=False))}

    def container(self, name: str) -> Container:
        return self.containers[name]


def told(play: Any, root: Path = Path("/nowhere")) -> Any:
    async def run() -> Any:
        sandbox = Fake(root)
        return await play(cast("Sandbox", sandbox), sandbox.containers[NAME])

    return asyncio.run(run())


def test_a_kill_wakes_who_waits() -> None:
    async def play(sandbox: Sandbox, container: Container) -> list[c.Watched]:
        first = await starvation.watch(sandbox, c.Watch(NAME, -1))
        waiting = asyncio.ensure_future(starvation.watch(sandbox, c.Watch(NAME, first.kills)))
        await asyncio.sleep(0)
        starvation.note(sandbox, m.OutOfMemory("another"))
        await asyncio.sleep(0)
        assert not waiting.done()
        starvation.note(sandbox, m.OutOfMemory(NAME))
        second = await waiting
        assert container.out_of_memory
        return [first, second]

    assert told(play) == [c.Watched(0, ended=False), c.Watched(1, ended=False)]


def test_the_end_wakes_as_well() -> None:
    async def play(sandbox: Sandbox, container: Container) -> c.Watched:
        waiting = asyncio.ensure_future(starvation.watch(sandbox, c.Watch(NAME)))
        await asyncio.sleep(0)
        container.init.ended = c.Ended(0)
        container.tell()
        return await waiting

    assert told(play) == c.Watched(0, ended=True)


def test_a_guest_cannot_fill_the_log(tmp_path: Path) -> None:
    async def play(sandbox: Sandbox, container: Container) -> int:
        for name in (NAME, "unknown") * 50:
            starvation.note(sandbox, m.OutOfMemory(name))
        return container.memory_kills

    with (tmp_path / "log").open("w+") as file:
        log.configure(level=log.Level.DEBUG, fd=file.fileno())
        try:
            assert told(play) == 50
        finally:
            log.configure(level=log.Level.WARNING)
        assert (tmp_path / "log").read_text().count("out of memory") == 1


def test_nothing_is_shown_on_the_host_without_a_kill_or_a_group() -> None:
    async def play(sandbox: Sandbox, container: Container) -> None:
        await starvation.mirror(sandbox.root, container)
        container.memory_kills = 1
        await starvation.mirror(sandbox.root, container)  # it has no control group to be shown in

    told(play)


def test_an_engine_with_conmon_finds_a_file_in_the_bundle_until_delete(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()

    async def play(sandbox: Sandbox, container: Container) -> list[list[str]]:
        found: list[list[str]] = []
        engine = {"io.container.manager": "libpod"}
        for told_by, kills in ((engine, 0), ({}, 1), (engine, 1)):
            container.record = replace(container.record, bundle=str(bundle), annotations=told_by)
            container.memory_kills = kills
            await starvation.mirror(sandbox.root, container)
            found.append([path.name for path in bundle.iterdir()])
        release.container(sandbox.root, NAME)
        found.append([path.name for path in bundle.iterdir()])
        container.record = replace(container.record, bundle=str(tmp_path / "gone"))
        await starvation.mirror(sandbox.root, container)
        release.container(sandbox.root, NAME)
        return found

    assert told(play, tmp_path / "state") == [[], [], ["oom"], []]
