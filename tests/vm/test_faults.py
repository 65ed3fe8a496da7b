"""kill -9 of anything: the container is reported dead with a reason, and nothing is left.

Part 5 of the contract: supervisor, QEMU, virtiofsd, stand-in, in a foreground and in a
detached container; then `rm`, or `sweep`, finds everything released.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from enclos.linux import pid
from enclos.state.store import StateRoot
from tests.support import victims
from tests.support.cli import Programs
from tests.support.victims import VICTIMS

KILLED = 137


@pytest.fixture
def sleeper(programs: Programs) -> Iterator[str]:
    """The id of a detached container that sleeps."""
    made = programs.ok("run", "-d", "enclos/demo", "sleep", "1000").strip()
    yield made
    programs.enclos("rm", "-f", made)


def pid_of(programs: Programs, container_id: str, victim: str) -> int:
    """The host's pid of one of a container's processes."""
    return victims.pid_of(programs.state_root, container_id, victim)


def wait_status(programs: Programs, container_id: str, status: str) -> dict[str, object]:
    """The OCI state once it has `status`."""
    deadline = time.monotonic() + 30
    while True:
        answer = programs.oci("state", container_id)
        assert answer.code == 0, answer.err
        state: dict[str, object] = json.loads(answer.out)
        if state["status"] == status:
            return state
        assert time.monotonic() < deadline, state
        time.sleep(0.05)


@pytest.mark.parametrize("victim", VICTIMS)
def test_a_killed_part_stops_the_container_with_a_reason(
    programs: Programs, sleeper: str, victim: str
) -> None:
    processes = {name: pid.ref(pid_of(programs, sleeper, name)) for name in VICTIMS}
    os.kill(processes[victim].pid, signal.SIGKILL)
    state = wait_status(programs, sleeper, "stopped")
    assert state["pid"] == 0
    deadline = time.monotonic() + 15
    while any(process.alive() for process in processes.values()):
        assert time.monotonic() < deadline, "a process outlived its container"
        time.sleep(0.05)
    (inspected,) = json.loads(programs.ok("inspect", sleeper))
    assert inspected["State"]["ExitCode"] == KILLED
    assert inspected["State"]["Error"]
    programs.ok("rm", sleeper)


@pytest.mark.parametrize("victim", VICTIMS)
def test_a_foreground_run_whose_part_is_killed_ends_with_137(
    programs: Programs, victim: str, tmp_path: Path
) -> None:
    file = tmp_path / "cid"
    running = programs.start("run", "--rm", "--cidfile", file, "enclos/demo", "sleep", "1000")
    container_id = _started(programs, file, running)
    os.kill(pid_of(programs, container_id, victim), signal.SIGKILL)
    _, err = running.communicate(timeout=60)
    assert running.returncode == KILLED, err
    assert programs.oci("state", container_id).code != 0


def _started(programs: Programs, file: Path, running: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert running.poll() is None, running.communicate()
        if file.exists() and (text := file.read_text().strip()):
            answer = programs.oci("state", text)
            if answer.code == 0 and json.loads(answer.out)["status"] == "running":
                return text
        time.sleep(0.1)
    raise AssertionError("the container did not start")


def test_sweep_releases_what_a_dead_supervisor_left(programs: Programs, sleeper: str) -> None:
    os.kill(pid_of(programs, sleeper, "supervisor"), signal.SIGKILL)
    wait_status(programs, sleeper, "stopped")
    said = programs.ok("sweep")
    assert sleeper[:12] in said
    assert not list((programs.state_root / "sandboxes").iterdir())
    assert programs.ok("sweep").strip() == ""
    programs.ok("rm", sleeper)


def test_a_killed_creator_leaves_an_id_that_sweep_frees(programs: Programs) -> None:
    root = StateRoot(programs.state_root)
    child = os.fork()
    if child == 0:
        from enclos.state import store

        store.reserve(root, "half-made")
        os._exit(0)
    os.waitpid(child, 0)
    assert "half-made" in programs.ok("sweep")
    assert not root.container("half-made").exists()


def test_a_killed_caller_gets_its_descriptors_back(programs: Programs, tmp_path: Path) -> None:
    """Who reads our output sees its end when we are gone; the container runs on, as docker's."""
    file = tmp_path / "cid"
    script = "while :; do echo tick; sleep 0.2; done"
    running = programs.start("run", "--cidfile", file, "enclos/demo", "sh", "-c", script)
    container_id = _started(programs, file, running)
    try:
        assert running.stdout is not None
        assert running.stdout.readline() == b"tick\n"
        running.kill()
        running.communicate(timeout=30)
        before = programs.ok("logs", container_id).count("tick")
        time.sleep(1)
        assert programs.ok("logs", container_id).count("tick") > before
    finally:
        programs.ok("rm", "-f", container_id)


def test_a_killed_exec_gives_its_descriptors_back(programs: Programs, sleeper: str) -> None:
    running = programs.start("exec", sleeper, "sh", "-c", "echo there; exec sleep 1000")
    assert running.stdout is not None
    assert running.stdout.readline() == b"there\n"
    running.kill()
    assert running.communicate(timeout=30)[0] == b""


@pytest.mark.parametrize("delay_s", [0.3, 1.0, 1.6, 2.2])
def test_a_creator_killed_at_any_moment_leaves_no_machine(
    programs: Programs, delay_s: float
) -> None:
    """Whatever it had begun: no sandbox runs for nobody, and sweep and rm take the rest."""
    running = programs.start("run", "enclos/demo", "sleep", "1000")
    time.sleep(delay_s)
    running.kill()
    running.communicate()
    deadline = time.monotonic() + 60
    while True:
        programs.ok("sweep")
        left = programs.ok("ps", "-aq").split()
        started = programs.ok("ps", "-q").split()
        if started or not list((programs.state_root / "sandboxes").iterdir()):
            break  # it had been handed over: `docker run` killed so late leaves it running, too
        assert time.monotonic() < deadline, "a sandbox outlived its creator"
        time.sleep(0.5)
    for container_id in left:
        programs.ok("rm", "-f", container_id)
