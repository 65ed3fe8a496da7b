"""Limits as docker sets, shows and changes them; and what it says when memory ran out."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from tests.support import waiting
from tests.support.dockerd import IMAGE, SHIM, Docker

MIB = 1 << 20
FILES = ("memory.max", "cpu.max", "pids.max")
FORKS = "for i in $(seq 40); do sleep 3 & done"
REFUSED = (
    (("--memory", "1m"), "Minimum memory limit"),
    (("--memory", "8g"), "memoryswap"),
    (("--cpuset-cpus", "97"), "Requested CPUs are not available"),
)


@pytest.fixture
def box(docker: Docker) -> Iterator[str]:
    made = docker.ok(
        "run", "-d", "--network", "none", "--runtime", "enclos", "--memory", "64m",
        "--cpus", "0.5", "--pids-limit", "60", "--cpuset-cpus", "0", "--init",
        IMAGE, "sleep", "10000",
    )  # fmt: skip
    yield made
    docker.ok("rm", "-f", made)


def test_limits_are_in_force_shown_and_changed(docker: Docker, box: str) -> None:
    def inside() -> list[str]:
        paths = [f"/sys/fs/cgroup/{name}" for name in FILES]
        return docker.ok("exec", box, "cat", *paths).splitlines()

    assert inside() == [str(64 * MIB), "50000 100000", "60"]
    shown = json.loads(docker.ok("stats", "--no-stream", "--format", "{{json .}}", box))
    used, _, limit = shown["MemUsage"].partition(" / ")
    assert used.endswith("MiB")
    # The whole machine's by the command line, the container's own in the guest by the shim.
    assert (float(used.removesuffix("MiB")) < 50) == SHIM
    assert limit.endswith("MiB")
    assert (int(shown["PIDs"]) <= 4) == SHIM
    docker.ok(
        "update", "--memory", "80m", "--memory-swap", "-1", "--cpus", "0.7", "--pids-limit", "70",
        "--cpuset-cpus", "0-1", box,
    )  # fmt: skip
    assert inside() == [str(80 * MIB), "70000 100000", "70"]
    docker.ok("update", "--memory", "70m", "--memory-swap", "-1", "--pids-limit", "-1", box)
    assert inside() == [str(70 * MIB), "70000 100000", "max"]
    docker.ok("update", "--memory", "1g", "--memory-swap", "-1", "--cpus", "0.2", box)
    assert inside() == [str(1024 * MIB), "20000 100000", "max"]
    total = docker.ok("exec", box, "sed", "-n", "s/MemTotal: *//p", "/proc/meminfo")
    assert int(total.split()[0]) >= 1024 << 10, "the machine did not grow"
    docker.ok("update", "--memory", "48m", "--memory-swap", "48m", "--pids-limit", "20", box)
    assert inside() == [str(48 * MIB), "20000 100000", "20"]
    assert "can't fork" in docker("exec", box, "sh", "-c", FORKS).err
    waiting.until(lambda: docker("exec", box, "true").code == 0)
    for words, complaint in REFUSED:
        answer = docker("update", *words, box)
        assert (answer.code, complaint in answer.err) == (1, True), answer.err
    assert inside() == [str(48 * MIB), "20000 100000", "20"]


def test_docker_says_that_memory_ran_out(docker: Docker) -> None:
    since = int(time.time())
    words = ("run", "--name", "hungry", "--network", "none", "--runtime", "enclos")
    answer = docker(*words, "--memory", "24m", IMAGE, "sh", "-c", "exec tail /dev/zero")
    try:
        assert answer.code == 137, answer.err
        state = json.loads(docker.inspect("hungry", "{{json .State}}"))
        assert (state["OOMKilled"], state["ExitCode"]) == (True, 137)
        times = ("--since", str(since), "--until", str(int(time.time()) + 1))
        assert "container oom" in docker.ok("events", *times, "--filter", "container=hungry")
    finally:
        docker.ok("rm", "-f", "hungry")
