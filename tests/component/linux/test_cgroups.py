"""Control groups of the host, whichever version it has."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from enclos.errors import HostUnfit, Unclean
from enclos.ids import new_id
from enclos.linux import process
from enclos.linux.cgroup import group, layout, starve
from enclos.linux.cgroup.group import Group
from enclos.linux.cgroup.layout import Layout, Mode
from tests.support import leaks

pytestmark = pytest.mark.usefixtures("leak_check")


@pytest.fixture
def host() -> Layout:
    found = layout.detect()
    if found.mode is Mode.NONE:
        pytest.skip("no control groups are mounted here")
    return found


@pytest.fixture
def made(leak_check: None, host: Layout) -> Iterator[Group]:
    path = f"{leaks.WORD}{new_id()[:8]}/deep"
    found = group.create(host, path)
    yield found
    group.kill(found)
    group.remove(found)
    group.remove(group.find(host, path.partition("/")[0]))


def test_making_twice_is_done(host: Layout, made: Group) -> None:
    assert group.create(host, made.path) == made
    assert all(path.is_dir() for path in made.directories.values())


def test_a_process_moves_in_every_hierarchy(made: Group) -> None:
    with process.running(["sleep", "60"]) as child:
        group.place(made, child.pid)
        assert group.processes(made) == [child.pid]
        places = Path(f"/proc/{child.pid}/cgroup").read_text().splitlines()
        assert all(line.endswith("/" + made.path) for line in places)
        with pytest.raises(Unclean, match="cannot remove the control group") as caught:
            group.remove(made, timeout_s=0)
        assert str(child.pid) in caught.value.detail


def test_limits_are_read_back(made: Group) -> None:
    assert group.limits(made) == group.Limits(None, None, None)
    unified = set(made.directories) == {""}
    memory = "memory.max" if unified else "memory.limit_in_bytes"
    group.write(made, "memory", file=memory, value=str(64 << 20))
    group.write(made, "pids", file="pids.max", value="10")
    found = group.limits(made)
    assert (found.memory_bytes, found.processes) == (64 << 20, 10)


def test_what_the_kernel_refuses_is_named(made: Group) -> None:
    with pytest.raises(HostUnfit, match=r"refuses pids\.max=many"):
        group.write(made, "pids", file="pids.max", value="many")
    if set(made.directories) != {""}:
        with pytest.raises(HostUnfit, match="no rdma control group"):
            group.write(made, "rdma", file="rdma.max", value="1")


def test_killing_ends_frozen_processes_as_well(made: Group) -> None:
    with process.running(["sleep", "60"]) as child:
        group.place(made, child.pid)
        group.freeze(made, frozen=True)
        assert group.kill(made) == []
        assert child.wait(5) == -signal.SIGKILL


def test_removing_takes_what_is_below(host: Layout, made: Group) -> None:
    group.create(host, f"{made.path}/a/b")
    group.remove(made)
    group.remove(made)
    assert not any(path.exists() for path in made.directories.values())


def test_without_control_groups_the_host_is_unfit() -> None:
    with pytest.raises(HostUnfit, match="no control groups"):
        group.create(Layout(Mode.NONE, None, ()), "x")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("")
    (tmp_path / "cgroup.subtree_control").write_text("")
    (tmp_path / "taken").write_text("")
    with pytest.raises(HostUnfit, match="cannot make the control group taken/x"):
        group.create(Layout(Mode.UNIFIED, tmp_path, ()), "taken/x")
    assert os.listdir(tmp_path)


def oom_events(made: Group) -> Generator[int]:
    """How many out-of-memory events an engine has seen so far, at each call of next."""
    directory = made.directory("memory")
    assert directory is not None
    if (directory / "memory.events").exists():
        while True:
            events = dict(line.split() for line in (directory / "memory.events").open())
            yield int(events["oom_kill"])
    counter = os.eventfd(0, os.EFD_NONBLOCK)
    control = os.open(directory / "memory.oom_control", os.O_RDONLY)
    try:
        (directory / "cgroup.event_control").write_text(f"{counter} {control}")
        seen = 0
        while True:
            if select.select([counter], [], [], 0)[0]:
                seen += os.eventfd_read(counter)
            yield seen
    finally:
        os.close(control)
        os.close(counter)


def test_the_kernel_can_be_made_to_tell_of_a_kill(made: Group) -> None:
    """And of nothing else: whoever lives in the group goes on, under the limit of before."""
    if made.directory("memory") is None:
        pytest.skip("the host has no memory control group")
    group.write(made, "memory", file=limit_file(made), value=str(512 << 20))
    events = oom_events(made)
    assert next(events) == 0
    with process.running(["sleep", "60"]) as child:
        group.place(made, child.pid)
        assert starve.starve(made)
        assert next(events) > 0
        assert group.processes(made) == [child.pid]
        assert group.limits(made).memory_bytes == 512 << 20
    events.close()


def limit_file(made: Group) -> str:
    return "memory.max" if set(made.directories) == {""} else "memory.limit_in_bytes"
