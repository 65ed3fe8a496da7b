"""A container's control group on the host: where it is, what it enforces, that it goes again."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from enclos.errors import HostUnfit, InvalidRequest, WrongState
from enclos.ids import new_id
from enclos.linux import fork, pidfd, process
from enclos.linux.cgroup import group, layout
from enclos.linux.cgroup.group import Group
from enclos.linux.cgroup.layout import Layout, Mode
from enclos.oci.linux import Linux
from enclos.oci.resources import BlockIo, ThrottleDevice
from enclos.oci.types import Spec
from enclos.plan.guestresources import HostLimits
from enclos.plan.hostgroup import Room
from enclos.sandbox import delete, hostgroup, release
from enclos.sandbox.hostgroup import Manager
from enclos.state import store
from enclos.state.store import StateRoot
from tests.support import leaks

pytestmark = pytest.mark.usefixtures("leak_check")

MIB = 1 << 20
ROOM = Room(machine_bytes=256 * MIB, memory_bytes=64 * MIB, cpus=1, tasks=40)


@pytest.fixture
def root(leak_check: None, tmp_path: Path) -> StateRoot:
    if layout.detect().mode is Mode.NONE:
        pytest.skip("no control groups are mounted here")
    return StateRoot(tmp_path)


@pytest.fixture
def name(root: StateRoot) -> Iterator[str]:
    made = f"{leaks.WORD}{new_id()[:8]}"
    store.reserve(root, made)
    yield made
    release.container(root, made)


def found(path: str) -> Group:
    return group.find(layout.detect(), path)


def make(root: StateRoot, name: str, path: str = "", manager: Manager = Manager.CGROUPFS) -> str:
    spec = Spec(linux=Linux(cgroups_path=path))
    with ExitStack() as undo:
        made = hostgroup.make(root, spec, name, manager=manager, undo=undo)
        undo.pop_all()
    return made


def value(path: str, controller: str, file: str) -> str:
    directory = found(path).directory(controller)
    assert directory is not None
    return (directory / file).read_text().strip()


def test_without_a_path_it_has_a_place_of_its_own(root: StateRoot, name: str) -> None:
    path = make(root, name)
    assert path == f"enclos/{name}"
    assert all(place.is_dir() for place in found(path).directories.values())
    release.container(root, name)
    assert not any(place.exists() for place in found(path).directories.values())


@pytest.mark.parametrize(
    ("manager", "asked", "wanted"),
    [
        (Manager.CGROUPFS, "/NAME/deep", "NAME/deep"),
        (Manager.SYSTEMD, "NAME.slice:enclos:c1", None),
    ],
)
def test_the_path_is_the_specs(
    root: StateRoot, name: str, manager: Manager, asked: str, wanted: str | None
) -> None:
    path = make(root, name, asked.replace("NAME", name), manager)
    assert path == (wanted or "NAME.slice/enclos-c1.scope").replace("NAME", name)
    release.container(root, name)
    parent = found(path.partition("/")[0])
    assert all(place.is_dir() for place in parent.directories.values())  # as with runc
    group.remove(parent)


def test_a_group_in_use_is_refused_and_left_alone(root: StateRoot, name: str) -> None:
    mine = group.create(layout.detect(), f"{name}-used")
    try:
        with process.running(["sleep", "60"]) as child:
            group.place(mine, child.pid)
            with pytest.raises(WrongState, match="cgroup is not empty: 1 process"):
                make(root, name, f"{name}-used")
            release.container(root, name)
            assert child.poll() is None
    finally:
        group.remove(mine)


def test_the_next_container_in_the_same_place_is_left_alone(root: StateRoot, name: str) -> None:
    """The first has stopped and is deleted when the second runs."""
    path = f"{name}-shared"
    assert make(root, name, path) == path
    second = f"{name}-second"
    store.reserve(root, second)
    assert make(root, second, path) == path
    with process.running(["sleep", "60"]) as child:
        group.place(found(path), child.pid)
        release.container(root, name)
        assert child.poll() is None
        release.container(root, second)
        assert child.wait(5) == -signal.SIGKILL
    assert not any(place.exists() for place in found(path).directories.values())


def test_version_2_alone(root: StateRoot, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hybrid host's version 2 has no controllers: what they would do is said or refused."""
    unified = layout.detect().unified
    if unified is None:
        pytest.skip("no version 2 is mounted here")
    monkeypatch.setattr(layout, "detect", lambda: Layout(Mode.UNIFIED, unified, ()))
    path = make(root, name)
    with process.running(["sleep", "60"]) as child, hostgroup.entrance(path) as entrance:
        assert len(entrance) == 1
        os.write(entrance[0], str(child.pid).encode())
        assert group.processes(found(path)) == [child.pid]
        hostgroup.limit(path, HostLimits(memory_bytes=MIB, processes=5), ROOM)
        release.container(root, name)
        assert child.wait(5) == -signal.SIGKILL
    assert not (unified / path).exists()


def test_disabled_means_none(root: StateRoot, name: str) -> None:
    assert make(root, name, "/whatever", Manager.DISABLED) == ""
    hostgroup.limit("", HostLimits(memory_bytes=MIB), ROOM)
    with hostgroup.entrance("") as entrance:
        assert entrance == ()
    with pytest.raises(InvalidRequest, match=r"linux\.resources\.cpu\.cpus: the container has no"):
        hostgroup.limit("", HostLimits(cpus="0"), ROOM)


def test_a_host_without_groups_runs_containers_all_the_same(
    root: StateRoot, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "detect", lambda: Layout(Mode.NONE, None, ()))
    assert make(root, name) == ""


def test_a_child_enters_and_dies_with_the_group(root: StateRoot, name: str) -> None:
    path = make(root, name)
    reader, writer = os.pipe()

    def live() -> int:
        group.enter(entrance)
        os.write(writer, b"x")
        os.read(never, 1)
        return 0

    never, held = os.pipe()
    with hostgroup.entrance(path) as entrance:
        child = fork.fork_detached(live)
        assert os.read(reader, 1) == b"x"
    assert group.processes(found(path)) == [child.pid]
    release.container(root, name)
    assert not child.alive()
    for descriptor in (reader, writer, never, held):
        os.close(descriptor)
    with pytest.raises(HostUnfit, match="is gone"), hostgroup.entrance(path):
        pass


def test_limits_leave_room(root: StateRoot, name: str) -> None:
    path = make(root, name)
    limits = HostLimits(memory_bytes=MIB, quota_us=50_000, shares=512, processes=5, cpus="0")
    hostgroup.limit(path, limits, ROOM)
    got = group.limits(found(path))
    assert got == group.Limits(memory_bytes=324 * MIB, cpus=1.5, processes=45)
    assert value(path, "cpuset", "cpuset.cpus") == "0"


def test_what_the_host_cannot_do_is_refused_by_name(root: StateRoot, name: str) -> None:
    path = make(root, name)
    device = ThrottleDevice(major=4000, minor=77, rate=MIB)
    limits = HostLimits(block_io=BlockIo(throttle_read_bps_device=(device,)))
    member = r"linux\.resources\.blockIO\.throttleReadBpsDevice: .*4000:77"
    with pytest.raises(InvalidRequest, match=member):
        hostgroup.limit(path, limits, ROOM)
    with pytest.raises(InvalidRequest, match=r"cpu\.cpus: none of 4000 is online"):
        hostgroup.limit(path, HostLimits(cpus="4000"), ROOM)


def test_block_devices_are_throttled(root: StateRoot, name: str) -> None:
    """On whichever block device there is."""
    devices = [place / "dev" for place in Path("/sys/block").iterdir()]
    numbers = sorted(place.read_text().strip() for place in devices if place.exists())
    if not numbers:
        pytest.skip("the host has no block device")
    major, minor = map(int, numbers[0].split(":"))
    path = make(root, name)
    throttle = (ThrottleDevice(major, minor, 5 * MIB),)
    hostgroup.limit(path, HostLimits(block_io=BlockIo(throttle_write_bps_device=throttle)), ROOM)
    unified = layout.detect().mode is Mode.UNIFIED
    controller, file = ("io", "io.max") if unified else (
        "blkio", "blkio.throttle.write_bps_device"
    )  # fmt: skip
    assert str(5 * MIB) in value(path, controller, file)


def test_an_abandoned_creation_is_released(root: StateRoot, name: str) -> None:
    """Its creator died after it had made the group and before it wrote a record."""
    dead = fork.fork_detached(lambda: 0)
    assert pidfd.wait_end(dead, timeout_s=60)
    path = make(root, name)
    store.write_file(root.container(name) / "creator", f"{dead.pid} {dead.start}".encode())
    delete.delete(root, name)
    assert not any(place.exists() for place in found(path).directories.values())
