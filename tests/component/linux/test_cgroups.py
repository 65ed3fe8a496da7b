"""Control groups of the host, whichever version it has."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from enclos.errors import HostUnfit, Unclean
from enclos.ids import new_id
from enclos.linux import process
from enclos.linux.cgroup import group, layout
from enclos.linux.cgroup.group import Group
from enclos.linux.cgroup.layout import Layout, Mode

pytestmark = pytest.mark.usefixtures("leak_check")


@pytest.fixture
def host() -> Layout:
    found = layout.detect()
    if found.mode is Mode.NONE:
        pytest.skip("no control groups are mounted here")
    return found


@pytest.fixture
def made(leak_check: None, host: Layout) -> Iterator[Group]:
    path = f"enclos-test-{new_id()[:8]}/deep"
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
