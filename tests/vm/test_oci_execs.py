"""What is left of many execs, on the host and in the guest; and what a killed one takes along."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from enclos.linux.cgroup import group, layout
from enclos.state import records
from enclos.state.store import StateRoot
from tests.conformance.rows import at, together, without
from tests.support import bundles, leaks, waiting
from tests.support.cli import Programs

COUNT = 200
WARM = 20
"""What grows with the first few execs stays: free lists, caches, byte code."""
SETS = ("bounding", "effective", "permitted")
CAPABILITIES = {kind: ["CAP_SYS_PTRACE"] for kind in SETS}
LOOK = """\
ls /proc/1/fd | wc -l
grep VmRSS /proc/1/status
for p in /proc/[0-9]*; do [ -n "$(busybox tr -d '\\0' <$p/cmdline)" ] && echo $p; done | wc -l
busybox find /sys/fs/cgroup -type d | wc -l
"""
"""Without a pid namespace of its own the container sees the agent, which is process 1."""


@dataclass(frozen=True, slots=True)
class Held:
    """What somebody holds; sizes in KiB, and processes are the container's on the host."""

    descriptors: int
    memory_kib: int
    processes: int
    places: int


@pytest.fixture(scope="module")
def name(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running container that may look at the guest's agent."""
    made = f"execs-{os.getpid()}"
    change = together(
        without("linux.namespaces", "type", "pid"), at("process.capabilities", CAPABILITIES)
    )
    bundle = bundles.make(tmp_path_factory.mktemp("execs") / made, "sleep", "10000", change=change)
    with (bundle / "out").open("wb") as out:
        create = programs.oci_command("create", "--bundle", bundle, made)
        subprocess.run(
            create, check=True, timeout=240, env=programs.environment,
            stdin=subprocess.DEVNULL, stdout=out, stderr=out,
        )  # fmt: skip
    try:
        assert programs.oci("start", made).code == 0
        _over(_detached(programs, bundle / "pid", made, "true"))  # makes the directory of execs
        yield made
    finally:
        programs.oci("delete", "--force", made)


def _detached(programs: Programs, file: Path, *words: str) -> int:
    """The pid of an exec that keeps its streams, which are nobody's pipes."""
    command = programs.oci_command("exec", "--detach", "--pid-file", file, *words)
    null = subprocess.DEVNULL
    subprocess.run(
        command, check=True, timeout=120, env=programs.environment,
        stdin=null, stdout=null, stderr=null,
    )  # fmt: skip
    return int(file.read_text())


def _over(pid: int) -> None:
    """Wait until a process has gone that was given to us as to an engine's monitor."""

    def gone() -> bool:
        leaks.reap_adopted()
        return not Path(f"/proc/{pid}/status").exists()

    waiting.until(gone)


def _on_the_host(programs: Programs, name: str) -> Held:
    """The supervisor's, and who is in the container's control group."""
    root = StateRoot(programs.state_root)
    supervisor = Path("/proc") / str(records.load_sandbox(root, name).supervisor_pid)
    found = group.find(layout.detect(), records.load_container(root, name).cgroup)
    return Held(
        descriptors=len(list((supervisor / "fd").iterdir())),
        memory_kib=int((supervisor / "status").read_text().partition("VmRSS:")[2].split()[0]),
        processes=len(group.processes(found)),
        places=len(list((programs.state_root / "containers" / name).rglob("*"))),
    )


def _in_the_guest(programs: Programs, name: str) -> Held:
    """The agent's, and all that runs there but for the kernel's own threads."""
    answer = programs.oci("exec", name, "sh", "-c", LOOK.replace("grep", "busybox grep"))
    assert answer.code == 0, answer.err
    descriptors, memory, processes, places = answer.out.splitlines()
    return Held(int(descriptors), int(memory.split()[1]), int(processes), int(places))


def _alike(before: Held, after: Held) -> bool:
    return (after.descriptors, after.processes, after.places) == (
        before.descriptors, before.processes, before.places,
    )  # fmt: skip


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_two_hundred_execs_leave_nothing(programs: Programs, name: str, tmp_path: Path) -> None:
    def enter(number: int) -> None:
        """Most are waited for, some are detached, and some cannot start."""
        if number % 10 == 9:
            assert programs.oci("exec", name, "no-such-program").code != 0
        elif number % 5:
            assert programs.oci("exec", name, "echo", str(number)).out == f"{number}\n"
        else:
            _over(_detached(programs, tmp_path / "pid", name, "true"))

    for number in range(WARM):
        enter(number)
    here, there = _on_the_host(programs, name), _in_the_guest(programs, name)
    for number in range(COUNT):
        enter(number)
    waiting.until(lambda: _alike(here, _on_the_host(programs, name)), timeout_s=20)
    assert _alike(there, _in_the_guest(programs, name)), (there, _in_the_guest(programs, name))
    assert _on_the_host(programs, name).memory_kib - here.memory_kib < 4096
    assert _in_the_guest(programs, name).memory_kib - there.memory_kib < 2048


def test_a_killed_exec_takes_its_program_along(
    programs: Programs, name: str, tmp_path: Path
) -> None:
    """SIGKILL cannot be forwarded: the end of the process that stands for it is the sign."""
    before = _on_the_host(programs, name)
    pid = _detached(programs, tmp_path / "pid", name, "sleep", "54321")
    sleeps = ("exec", name, "ps")
    assert "sleep 54321" in programs.oci(*sleeps).out
    os.kill(pid, signal.SIGKILL)
    waiting.until(lambda: "sleep 54321" not in programs.oci(*sleeps).out)
    waiting.until(lambda: _alike(before, _on_the_host(programs, name)), timeout_s=20)
    assert programs.oci("exec", name, "echo", "on").out == "on\n"
