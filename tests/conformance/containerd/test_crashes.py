"""Daemon, shim, machine die by SIGKILL: what lives is not lost, what does not leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from enclos.linux import mountinfo
from tests.support import daemons, victims
from tests.support.containerd import IMAGE, RUNC, RUNTIME, Containerd, wait_for

SOON_S: Final = 20
"""On a busy machine. containerd itself gives a shim's `delete` 5 s, or nothing is cleaned."""


def test_the_daemon_is_killed_and_comes_back(containerd: Containerd, tmp_path: Path) -> None:
    """Containers run on, write on, end meanwhile, and are told of when it is back."""
    log = tmp_path / "log"
    counting = "i=0; while :; do echo $i; i=$((i+1)); sleep 0.1; done"
    flags = ("--log-uri", f"file://{log}")
    with (
        containerd.detached("lives", counting, flags=flags),
        containerd.detached("ends", "sleep 4; exit 3"),
    ):
        shim = containerd.shim("lives")
        containerd.stop(signal.SIGKILL)
        seen = log.stat().st_size
        time.sleep(6)
        assert log.stat().st_size > seen
        containerd.start()
        containerd.wait_task("ends", "STOPPED")
        assert containerd.tasks()["lives"][1] == "RUNNING"
        assert containerd.shim("lives") == shim
        assert containerd.exec("lives", "echo", "still").out == "still\n"
        assert containerd.deleted("ends") == 3
        lines = log.read_text().splitlines()
        assert lines == [str(number) for number in range(len(lines))]
        containerd.ok("tasks", "kill", "-s", "SIGKILL", "lives")
        containerd.wait_task("lives", "STOPPED")
        assert containerd.deleted("lives") == 137


def test_a_client_waits_for_a_machine_that_is_killed(containerd: Containerd) -> None:
    """It hears of an end by SIGKILL, soon, the log says why, and nothing is left."""
    with _waiting(containerd, "machineless", RUNTIME) as (process, task):
        (machine,) = victims.machines(containerd.shim("machineless"))
        os.kill(machine, signal.SIGKILL)
        began = time.monotonic()
        assert process.wait(60) == 137
        assert time.monotonic() - began < SOON_S
        wait_for(lambda: "the sandbox is lost reason=" in containerd.log(), containerd.log)
        _wait_clean(containerd, "machineless", task, machine)


def test_a_client_waits_for_a_shim_that_is_killed(containerd: Containerd) -> None:
    """It hears what it hears of runc's shim; machine and mounts go with ours."""
    with _waiting(containerd, "theirs", RUNC) as (process, _):
        (found,) = daemons.naming("-id\0theirs\0")  # its socket may be in another root's /run
        os.kill(found.pid, signal.SIGKILL)
        theirs = process.wait(60)
    with _waiting(containerd, "ours", RUNTIME) as (process, task):
        shim = containerd.shim("ours")
        (machine,) = victims.machines(shim)
        os.kill(shim, signal.SIGKILL)
        began = time.monotonic()
        assert process.wait(60) == theirs != 0
        assert time.monotonic() - began < SOON_S
        _wait_clean(containerd, "ours", task, machine)


@contextmanager
def _waiting(
    containerd: Containerd, name: str, runtime: str
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A client that waits for a task, and the task's pid."""
    words = ("run", "--rm", "--runtime", runtime, IMAGE, name, "sh", "-c", "echo up; sleep 1000")
    with subprocess.Popen(
        containerd.command(*words), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        try:
            yield process, containerd.tasks()[name][0]
        finally:
            process.kill()
            containerd.remove(name)


def _wait_clean(containerd: Containerd, name: str, task: int, machine: int) -> None:
    wait_for(lambda: not _alive(task) and not _alive(machine), containerd.log)
    bundle = containerd.bundle(name)
    wait_for(lambda: not bundle.exists(), containerd.log)
    assert not mountinfo.below(bundle)
    wait_for(lambda: name not in containerd.tasks(), containerd.log)


def test_a_shim_dies_under_a_detached_task(containerd: Containerd) -> None:
    """The task is gone, and its name is free."""
    with containerd.detached("dies", "exec sleep 1000") as name:
        shim = containerd.shim(name)
        (machine,) = victims.machines(shim)
        os.kill(shim, signal.SIGKILL)
        _wait_clean(containerd, name, shim, machine)
    with containerd.detached("dies", "exec sleep 1000") as name:
        assert containerd.exec(name, "true").code == 0


def _alive(number: int) -> bool:
    """Whether it runs; who adopts what a shim leaves collects it in its own time."""
    try:
        return b") Z " not in Path(f"/proc/{number}/stat").read_bytes()
    except OSError:
        return False
