"""What dockerd does by itself: restarts, health checks, limits, and coming back after a crash."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Final

import pytest

from tests.support import victims, waiting
from tests.support.dockerd import IMAGE, Docker
from tests.support.victims import VICTIMS

RUN: Final = ("run", "-d", "--network", "none", "--runtime", "enclos")


def test_a_container_that_fails_is_started_again(docker: Docker) -> None:
    name = docker.ok(*RUN, "--restart", "on-failure:1", IMAGE, "sh", "-c", "echo once; exit 5")
    state = "{{.State.Status}} {{.RestartCount}} {{.State.ExitCode}}"
    waiting.until(lambda: docker.inspect(name, state) == "exited 1 5")
    assert docker.ok("logs", name) == "once\nonce"
    docker.ok("rm", name)


def test_health(docker: Docker) -> None:
    name = docker.ok(
        *RUN, "--health-cmd", "test -e /well", "--health-interval", "1s", "--health-retries", "1",
        IMAGE, "sleep", "1000",
    )  # fmt: skip
    health = "{{.State.Health.Status}}"
    waiting.until(lambda: docker.inspect(name, health) == "unhealthy")
    docker.ok("exec", name, "touch", "/well")
    waiting.until(lambda: docker.inspect(name, health) == "healthy")
    docker.ok("rm", "-f", name)


def test_containers_live_on_without_the_daemon(docker: Docker) -> None:
    """Killed, not stopped: what it knew comes from its files and from the shims."""
    script = "trap 'exit 7' TERM; n=0; while :; do echo $n; n=$((n + 1)); sleep 0.2; done"
    name = docker.ok(*RUN, IMAGE, "sh", "-c", script)
    pid = docker.inspect(name, "{{.State.Pid}}")
    docker.stop(signal.SIGKILL)
    time.sleep(1)
    docker.start()
    assert docker.inspect(name, "{{.State.Status}} {{.State.Pid}}") == f"running {pid}"
    assert docker.ok("exec", name, "echo", "here") == "here"
    lines = docker.ok("logs", name).split()
    waiting.until(lambda: len(docker.ok("logs", name).split()) > len(lines))
    docker.ok("stop", name)
    assert docker.inspect(name, "{{.State.ExitCode}}") == "7"
    docker.ok("rm", name)


def test_a_container_that_ends_without_the_daemon(docker: Docker) -> None:
    name = docker.ok(*RUN, IMAGE, "sh", "-c", "sleep 2; exit 6")
    docker.stop(signal.SIGKILL)
    time.sleep(3)
    docker.start()
    waiting.until(lambda: docker.inspect(name, "{{.State.Status}}") == "exited")
    assert docker.inspect(name, "{{.State.ExitCode}}") == "6"
    docker.ok("rm", name)


@pytest.mark.parametrize(
    "victim",
    ["qemu", *(pytest.param(one, marks=pytest.mark.nightly) for one in VICTIMS if one != "qemu")],
)
def test_a_killed_part_ends_the_container(docker: Docker, victim: str) -> None:
    """Which docker hears as 137, and can start again."""
    name = docker.ok(*RUN, IMAGE, "sleep", "1000")
    os.kill(victims.pid_of(docker.runtime_root, name, victim), signal.SIGKILL)
    assert docker.ok("wait", name) == "137"
    docker.ok("start", name)
    assert docker.ok("exec", name, "echo", "here") == "here"
    docker.ok("rm", "-f", name)
    waiting.until(lambda: not _processes_naming(name), timeout_s=20)


def test_nothing_is_left_of_a_container(docker: Docker) -> None:
    name = docker.ok(*RUN, IMAGE, "sleep", "1000")
    assert _processes_naming(name)
    docker.ok("rm", "-f", name)
    waiting.until(lambda: not _processes_naming(name), timeout_s=20)
    assert not [path for path in docker.runtime_root.rglob("*") if name in path.name]


def _processes_naming(word: str) -> list[str]:
    found: list[str] = []
    for name in os.listdir("/proc"):
        if name.isdecimal() and int(name) != os.getpid():
            try:
                line = Path(f"/proc/{name}/cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if word in line:
                found.append(line)
    return found
