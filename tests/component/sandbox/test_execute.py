"""An exec that fails says why and leaves neither its stand-in nor a record."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from enclos.errors import Lost, MachineFailed
from enclos.linux import pid
from enclos.linux.pid import ProcessRef
from enclos.sandbox import client, execute, hostgroup, reach, standin
from enclos.sandbox.execute import NewProcess
from enclos.state import records
from enclos.state.store import StateRoot
from enclos.wire.control import Channels

NAME = "c"
NEW = NewProcess("e", "{}", Channels())


class World:
    """A container whose supervisor has just gone; `body` is what its exec's stand-in does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
        self.root = StateRoot(place)
        self.root.container(NAME).mkdir(parents=True)
        self.body: Callable[[], object] = lambda: time.sleep(30)
        self.child = 0
        me = pid.this_process()
        record = SimpleNamespace(sandbox_id=NAME, cgroup="", process=me, pid=me.pid)
        connection = SimpleNamespace(call=self._lost)

        def fork(*_: object, **__: object) -> int:
            self.child = os.fork()
            if self.child == 0:
                self.body()
                os._exit(0)
            return self.child

        def found(*_: object) -> Any:
            return record

        def living(*_: object) -> Any:
            return record, connection

        def nothing(*_: object) -> Any:
            return nullcontext(())

        monkeypatch.setattr(execute, "check_running", found)
        monkeypatch.setattr(reach, "living", living)
        monkeypatch.setattr(client, "open_socket", nothing)
        monkeypatch.setattr(hostgroup, "entrance", nothing)
        monkeypatch.setattr(standin, "fork_exec", fork)

    def _lost(self, *_: object, **__: object) -> None:
        raise Lost("the supervisor went away")

    def run(self) -> None:
        execute.run_with_standin(self.root, NAME, NEW, descriptors=())

    def killed(self) -> bool:
        return os.waitpid(self.child, 0)[1] == 9


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    return World(monkeypatch, tmp_path)


def test_what_was_started_goes_with_a_refused_exec(world: World) -> None:
    with pytest.raises(Lost, match="went away"):
        world.run()
    assert world.killed()
    assert records.all_execs(world.root, NAME) == []


def test_the_error_is_told_of_a_standin_that_has_gone_as_well(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = records.save_exec

    def slow(*arguments: Any) -> None:
        save(*arguments)
        assert not world.killed()  # reaped: the number may be anybody's now

    world.body = lambda: None
    monkeypatch.setattr(records, "save_exec", slow)
    with pytest.raises(Lost, match="went away"):
        world.run()
    assert records.all_execs(world.root, NAME) == []


def test_a_full_disk_leaves_no_standin(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(records, "save_exec", full)
    with pytest.raises(OSError, match="No space left"):
        world.run()
    assert world.killed()


def test_a_pid_of_somebody_else_is_not_joined() -> None:
    ours, theirs = socket.socketpair()
    me = pid.this_process()
    with ours, theirs, pytest.raises(MachineFailed, match="has ended"):
        standin.fork_exec(ProcessRef(me.pid, me.start - 1), standin.Duty(NAME, "e"), ours)
