"""The order in which ends are told, with processes that exist only on paper."""

from __future__ import annotations

from typing import cast

import pytest

from enclos.errors import NotFound
from enclos.guest import processes, records
from enclos.guest.agent import Agent
from enclos.guest.reaper import Reaper
from enclos.guest.records import Container, Process
from enclos.guest.stdio import ProcessIo
from enclos.guest.tasks import Promise
from enclos.wire import codec, frames
from enclos.wire.messages import Exited
from tests.support.port import Port


class PaperIo:
    """Streams that end when the test says so."""

    def __init__(self) -> None:
        self.drained: Promise[None] = Promise()
        self.dead = False

    def died(self) -> None:
        self.dead = True


class PaperReaper:
    """Ends that come when the test says so."""

    def __init__(self) -> None:
        self.ends: dict[int, Promise[int]] = {}

    def ended(self, pid: int) -> Promise[int]:
        return self.ends.setdefault(pid, Promise())

    def born(self) -> None:
        return None


class Scene:
    """A container with an init (pid 10) and two execs (pids 11, 12)."""

    def __init__(self, port: Port) -> None:
        self.port = port
        self.reaper = PaperReaper()
        self.agent = Agent(port.loop, port.channel, port.streams, cast(Reaper, self.reaper), "v", 0)
        self.io = {pid: PaperIo() for pid in (10, 11, 12)}
        made = {
            pid: Process("c", name, cast(ProcessIo, self.io[pid]), pid)
            for pid, name in ((10, ""), (11, "a"), (12, "b"))
        }
        self.owner = Container("c", made[10], {"a": made[11], "b": made[12]})
        self.agent.containers["c"] = self.owner
        for process in made.values():
            processes.follow(self.agent, process)

    def end(self, pid: int, status: int) -> None:
        self.reaper.ends[pid].keep(status)

    def told(self) -> list[tuple[str, int]]:
        """Exec ids and statuses said since the last call."""
        found: list[tuple[str, int]] = []
        for frame in self.port.received():
            name, _, body = frame.payload.partition(b"\n")
            assert (frame.kind, name) == (frames.EVENT, b"exited")
            event = codec.decode(Exited, body)
            found.append((event.exec_id, event.status))
        return found


@pytest.fixture
def scene(port: Port) -> Scene:
    return Scene(port)


def test_an_end_is_told_when_all_output_has_been_sent(scene: Scene) -> None:
    scene.end(11, 3)
    assert scene.io[11].dead
    assert scene.owner.execs["a"].status == 3
    assert not scene.told()
    scene.io[11].drained.keep(None)
    assert scene.told() == [("a", 3)]


def test_a_process_that_had_closed_its_output_is_told_at_once(scene: Scene) -> None:
    scene.io[12].drained.keep(None)
    scene.end(12, 137)
    assert scene.told() == [("b", 137)]


def test_output_that_never_ends_does_not_hold_the_news(
    port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "LINGER_S", 0.001)
    scene = Scene(port)
    scene.end(10, 0)
    assert not scene.told()
    port.loop.step()
    assert scene.told() == [("", 0)]
    scene.io[10].drained.keep(None)
    assert not scene.told()


def test_execs_that_died_with_the_init_come_before_it(scene: Scene) -> None:
    scene.end(11, 137)
    scene.end(12, 137)
    scene.io[10].drained.keep(None)
    scene.end(10, 0)
    assert not scene.told()
    scene.io[12].drained.keep(None)
    scene.io[11].drained.keep(None)
    assert scene.told() == [("b", 137), ("a", 137), ("", 0)]


def test_an_exec_that_outlives_the_init_does_not_hold_it(scene: Scene) -> None:
    """As in a pid namespace that the container shares with another."""
    scene.io[10].drained.keep(None)
    scene.end(10, 0)
    assert scene.told() == [("", 0)]


def test_records_are_found_or_named() -> None:
    with pytest.raises(NotFound, match="'x': container does not exist"):
        records.container({}, "x")
