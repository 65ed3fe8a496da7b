"""Limits on both sides of a machine: the host's control group, the guest's, `update`, `events`.

One sandbox serves all tests, in order; a second one runs out of memory.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from enclos.linux.cgroup import group, layout
from enclos.linux.cgroup.group import Group
from enclos.linux.cgroup.layout import Mode
from enclos.oci import codec, default
from enclos.plan.grouping import SANDBOX_ANNOTATIONS
from tests.conformance.rows import at, together
from tests.support import bundles
from tests.support.cli import Programs
from tests.support.commands import Answer

MIB = 1 << 20
PARENT = f"enclos-limits-{os.getpid()}"


@dataclass(frozen=True)
class Box:
    """A running container of `enclos-oci`, its bundle and its control group on the host."""

    programs: Programs
    name: str
    bundle: Path

    @property
    def cgroup(self) -> Group:
        return group.find(layout.detect(), f"{PARENT}/{self.name}")

    def oci(self, *words: str | Path, stdin: bytes | None = None) -> Answer:
        return self.programs.oci(*words, stdin=stdin)

    def ok(self, *words: str | Path, stdin: bytes | None = None) -> str:
        answer = self.oci(*words, stdin=stdin)
        assert answer.code == 0, answer.err
        return answer.out

    def guest(self, *files: str) -> list[str]:
        """What the container sees of its own control group."""
        paths = [f"/sys/fs/cgroup/{name}" for name in files]
        return self.ok("exec", self.name, "cat", *paths).splitlines()

    def host(self, controller: str, *files: str) -> list[str]:
        directory = self.cgroup.directory(controller)
        assert directory is not None
        return [(directory / name).read_text().strip() for name in files]

    def record(self, what: str) -> dict[str, Any]:
        path = self.programs.state_root / what / self.name / "record.json"
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    def figures(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ok("events", "--stats", self.name))
        assert (found["type"], found["id"]) == ("stats", self.name)
        data: dict[str, Any] = found["data"]
        return data


@contextmanager
def created(
    programs: Programs, directory: Path, name: str, script: str, **spec: Any
) -> Iterator[Box]:
    changes = [at(path.replace("__", "."), value) for path, value in spec.items()]
    path = at("linux.cgroupsPath", f"/{PARENT}/{name}")
    mounts = at("mounts", [*default_mounts(), *CGROUP_MOUNT])
    bundle = bundles.make(
        directory / name, "sh", "-c", script, change=together(path, mounts, *changes)
    )
    box = Box(programs, name, bundle)
    with (bundle / "out").open("ab") as out, (bundle / "err").open("ab") as err:
        done = subprocess.run(
            programs.oci_command("create", "--bundle", bundle, name),
            stdin=subprocess.DEVNULL, stdout=out, stderr=err,
            env=programs.environment, timeout=240, check=False,
        )  # fmt: skip
    assert done.returncode == 0, (bundle / "err").read_text()
    try:
        yield box
    finally:
        programs.oci("delete", "--force", name)


CGROUP_MOUNT = [
    {
        "destination": "/sys/fs/cgroup",
        "type": "cgroup",
        "source": "cgroup",
        "options": ["nosuid", "noexec", "nodev", "relatime", "ro"],
    }
]


def default_mounts() -> list[dict[str, Any]]:
    """The default's, but for the cgroup's."""
    found = codec.encode(default.default_spec().mounts)
    return [mount for mount in found if mount["destination"] != "/sys/fs/cgroup"]


@pytest.fixture(scope="module")
def parent() -> Iterator[None]:
    """What containers' groups leave behind, as with runc: the parent."""
    yield
    group.remove(group.find(layout.detect(), PARENT))


@pytest.fixture(scope="module")
def box(
    programs: Programs, parent: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Box]:
    with created(
        programs, tmp_path_factory.mktemp("box"), f"first-{os.getpid()}", "exec sleep 10000",
        linux__resources__memory={"limit": 96 * MIB, "swap": 96 * MIB, "reservation": 32 * MIB},
        linux__resources__cpu={"shares": 2048, "quota": 150_000, "period": 100_000, "cpus": "0",
                              "mems": "0"},
        linux__resources__pids={"limit": 50},
        linux__resources__hugepageLimits=[{"pageSize": "2MB", "limit": 4 * MIB}],
        linux__resources__unified={"memory.high": str(90 * MIB)},
    ) as made:  # fmt: skip
        made.ok("start", made.name)
        yield made


def names(box: Box) -> set[str]:
    return {Path(f"/proc/{pid}/comm").read_text().strip() for pid in group.processes(box.cgroup)}


def test_the_machine_lives_in_the_containers_group_and_the_supervisor_does_not(box: Box) -> None:
    assert names(box) == {"enclos-qemu", "virtiofsd", "sh"}
    stand_in = int(json.loads(box.ok("state", box.name))["pid"])
    places = Path(f"/proc/{stand_in}/cgroup").read_text().splitlines()
    assert all(line.endswith(f"/{PARENT}/{box.name}") for line in places)
    supervisor = box.record("sandboxes")["supervisor_pid"]
    assert box.name not in Path(f"/proc/{supervisor}/cgroup").read_text()
    assert box.record("containers")["cgroup"] == f"{PARENT}/{box.name}"


def test_what_engines_read_of_the_group_is_the_whole_machine(box: Box) -> None:
    unified = layout.detect().mode is Mode.UNIFIED
    used = int(box.host("memory", "memory.current" if unified else "memory.usage_in_bytes")[0])
    assert 64 * MIB < used < 700 * MIB
    before = cpu_ns(box)
    box.ok("exec", box.name, "sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done")
    assert cpu_ns(box) - before > 50_000_000
    assert int(box.host("pids", "pids.current")[0]) >= 5


def cpu_ns(box: Box) -> int:
    if layout.detect().mode is Mode.UNIFIED:
        return 1000 * int(box.host("cpu", "cpu.stat")[0].split()[1])
    return int(box.host("cpuacct", "cpuacct.usage")[0])


def test_the_guest_has_the_limits_exactly(box: Box) -> None:
    assert box.guest(
        "memory.max", "memory.low", "memory.swap.max", "memory.high", "cpu.max", "pids.max",
        "hugetlb.2MB.max",
    ) == [
        str(96 * MIB), str(32 * MIB), "0", str(90 * MIB), "150000 100000", "50", str(4 * MIB),
    ]  # fmt: skip
    weight = int(box.guest("cpu.weight")[0])
    assert weight > 39  # 1024 shares are 39 at least, whichever way they are converted


def test_the_host_bounds_the_machine_with_room(box: Box) -> None:
    found = group.limits(box.cgroup)
    assert found.memory_bytes is not None
    assert 500 * MIB < found.memory_bytes < 1024 * MIB
    assert found.cpus == 2.5
    assert found.processes == 50 + 192
    assert box.host("cpuset", "cpuset.cpus", "cpuset.mems") == ["0", "0"]


def test_update_by_flags(box: Box) -> None:
    box.ok(
        "update", "--cpu-quota", "80000", "--cpu-share=512", "--pids-limit", "40",
        "--memory", "80M", "--memory-swap", "80M", "--cpuset-cpus", "0-1", "--cpu-burst", "1000",
        box.name,
    )  # fmt: skip
    files = ("cpu.max", "cpu.max.burst", "pids.max", "memory.max", "memory.swap.max")
    assert box.guest(*files) == ["80000 100000", "1000", "40", str(80 * MIB), "0"]
    found = group.limits(box.cgroup)
    assert (found.cpus, found.processes) == (1.8, 40 + 192)
    assert box.host("cpuset", "cpuset.cpus") == ["0-1"]
    if layout.detect().mode is not Mode.UNIFIED:
        assert box.host("cpu", "cpu.shares") == ["512"]


def test_update_by_an_object_and_without_limits(box: Box) -> None:
    (memory,) = box.guest("memory.max")
    wanted = {"cpu": {"quota": -1}, "pids": {"limit": -1}, "memory": {"limit": 0}}
    box.ok("update", "--resources", "-", box.name, stdin=json.dumps(wanted).encode())
    assert box.guest("cpu.max", "pids.max", "memory.max") == ["max 100000", "max", memory]
    found = group.limits(box.cgroup)
    assert (found.cpus, found.processes) == (None, None)
    box.ok("update", "--cpu-idle", "1", box.name)
    assert box.guest("cpu.idle") == ["1"]
    box.ok("update", "--cpu-idle", "0", box.name)
    assert box.guest("cpu.idle") == ["0"]


def test_block_devices_are_throttled_while_it_runs(box: Box) -> None:
    """They are the host's; whichever it has will do."""
    found = sorted(place.read_text().strip() for place in Path("/sys/block").glob("*/dev"))
    if not found:
        pytest.skip("the host has no block device")
    major, minor = map(int, found[0].split(":"))
    device = {"major": major, "minor": minor, "rate": 7 * MIB}
    wanted = {"blockIO": {"throttleReadBpsDevice": [device]}}
    box.ok("update", "--resources=-", box.name, stdin=json.dumps(wanted).encode())
    unified = layout.detect().mode is Mode.UNIFIED
    place = ("io", "io.max") if unified else ("blkio", "blkio.throttle.read_bps_device")
    assert str(7 * MIB) in box.host(*place)[0]
    spec = json.loads(
        (box.programs.state_root / "containers" / box.name / "config.json").read_text()
    )
    assert spec["linux"]["resources"]["blockIO"] == wanted["blockIO"]
    assert spec["linux"]["resources"]["memory"]["swap"]


def test_the_machine_grows_for_a_limit_it_could_not_hold(box: Box) -> None:
    before = box.record("sandboxes")["memory_bytes"]
    box.ok("update", "--memory", str(before), "--memory-swap", "-1", box.name)
    after = box.record("sandboxes")["memory_bytes"]
    total = box.ok("exec", box.name, "head", "-n", "1", "/proc/meminfo").split()[1]
    assert after > before
    assert int(total) * 1024 > before
    assert box.guest("memory.max") == [str(before)]
    limit = group.limits(box.cgroup).memory_bytes
    assert limit is not None
    assert limit > after
    box.ok("update", "--memory", "80M", box.name)
    assert box.record("sandboxes")["memory_bytes"] == after


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--cpuset-cpus", "4000"), "linux.resources.cpu.cpus: none of 4000 is online"),
        (("--cpu-rt-runtime", "5"), "the guest's cgroup v2 has no realtime limits"),
        (("--memory", "90M", "--memory-swap", "50M"), "memory+swap limit should be >= memory"),
        (("--blkio-weight", "5000"), "use 10 to 1000"),
        (("--l3-cache-schema", "L3:0=f"), "linux.intelRdt: the container was created without"),
        ((), "nothing to change"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    box: Box, words: tuple[str, ...], message: str
) -> None:
    before = box.guest("memory.max", "pids.max", "cpu.max")
    answer = box.oci("update", *words, box.name)
    assert answer.code == 1
    assert message in answer.err
    assert box.guest("memory.max", "pids.max", "cpu.max") == before


def test_a_limit_below_what_is_in_use_may_be_asked_to_be_refused(box: Box) -> None:
    before = box.guest("memory.max")
    wanted = {"memory": {"limit": 64 << 10, "checkBeforeUpdate": True}}
    answer = box.oci("update", "--resources", "-", box.name, stdin=json.dumps(wanted).encode())
    assert answer.code == 1, answer
    assert box.guest("memory.max") == before


def test_update_of_what_is_not_there(box: Box) -> None:
    assert "container does not exist" in box.oci("update", "--memory", "5M", "nobody").err
    assert "container does not exist" in box.oci("events", "--stats", "nobody").err


def test_events_once(box: Box) -> None:
    (limit,) = box.guest("memory.max")
    data = box.figures()
    assert data["cpu"]["usage"]["total"] > 0
    assert 0 < data["memory"]["usage"]["usage"] < int(limit)
    assert data["memory"]["usage"]["limit"] == int(limit)
    assert data["pids"]["current"] == 1
    assert data["hugetlb"]["2MB"]["max"] == 4 * MIB


def lines(stream: Any, timeout_s: float = 60) -> Generator[dict[str, Any]]:
    while select.select([stream], [], [], timeout_s)[0]:
        text = stream.readline()
        if not text:
            return
        yield json.loads(text)


def test_a_member_of_the_pod_out_of_memory_is_told_by_events_and_by_the_host(
    box: Box, tmp_path: Path
) -> None:
    """The machine is not in the member's group, and lives on."""
    name = f"second-{os.getpid()}"
    with created(
        box.programs, tmp_path, name, "sleep 1; exec busybox tail /dev/zero",
        annotations={SANDBOX_ANNOTATIONS[0]: box.name},
        linux__resources__memory={"limit": 24 * MIB},
    ) as member, oom_seen(member) as seen:  # fmt: skip
        assert names(member) == {"sh"}
        command = box.programs.oci_command("events", "--interval", "200ms", name)
        told = subprocess.Popen(command, stdout=subprocess.PIPE, env=box.programs.environment)
        with told, closing(lines(told.stdout)) as events:
            assert next(events)["type"] == "stats"
            member.ok("start", name)
            kinds = {event["type"] for event in events}
        assert kinds == {"stats", "oom"}
        assert told.returncode == 0
        wait_stopped(member)
        assert member.record("containers")["exit_status"] == 137
        assert seen()
    assert json.loads(box.ok("state", box.name))["status"] == "running"


def test_a_container_out_of_memory_is_told_by_the_host(
    programs: Programs, parent: None, tmp_path: Path
) -> None:
    """Its machine is in its group, and gone when the limit is drawn tight."""
    name = f"hungry-{os.getpid()}"
    with created(
        programs, tmp_path, name, "exec busybox tail /dev/zero",
        linux__resources__memory={"limit": 24 * MIB},
    ) as hungry, oom_seen(hungry) as seen:  # fmt: skip
        hungry.ok("start", name)
        wait_stopped(hungry)
        assert hungry.record("containers")["exit_status"] == 137
        assert seen()


def test_the_machine_of_a_pod_grows_for_who_joins(box: Box, tmp_path: Path) -> None:
    before = box.record("sandboxes")["memory_bytes"]
    with created(
        box.programs, tmp_path, f"third-{os.getpid()}", "true",
        annotations={SANDBOX_ANNOTATIONS[0]: box.name},
        linux__resources__memory={"limit": before},
    ):  # fmt: skip
        assert box.record("sandboxes")["memory_bytes"] > before


def wait_stopped(box: Box) -> None:
    deadline = time.monotonic() + 60
    while json.loads(box.ok("state", box.name))["status"] != "stopped":
        assert time.monotonic() < deadline
        time.sleep(0.1)


@contextmanager
def oom_seen(box: Box) -> Iterator[Any]:
    """Whether an engine that watches the container's group as engines do has seen a kill."""
    directory = box.cgroup.directory("memory")
    assert directory is not None
    if layout.detect().mode is Mode.UNIFIED:
        yield lambda: "oom_kill 0" not in (directory / "memory.events").read_text()
        return
    counter = os.eventfd(0)
    control = os.open(directory / "memory.oom_control", os.O_RDONLY)
    (directory / "cgroup.event_control").write_text(f"{counter} {control}")
    try:
        yield lambda: bool(select.select([counter], [], [], 0)[0])
    finally:
        os.close(control)
        os.close(counter)


def test_the_group_goes_with_the_container_even_after_its_supervisor_was_killed(box: Box) -> None:
    """The last test of the module's sandbox."""
    os.kill(box.record("sandboxes")["supervisor_pid"], signal.SIGKILL)
    wait_stopped(box)
    box.ok("delete", box.name)
    assert not any(place.exists() for place in box.cgroup.directories.values())
