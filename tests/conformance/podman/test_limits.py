"""Limits as podman sets and shows them."""

from __future__ import annotations

import json

from tests.support.podman import IMAGE, Podman, wait_until

MIB = 1 << 20
CGROUP = "/sys/fs/cgroup"


def test_limits_are_in_force_shown_and_changed(podman: Podman) -> None:
    flags = ("--memory=64m", "--cpus=0.5", "--pids-limit=60", "--cpuset-cpus=0")
    with podman.running(*flags) as box:
        files = [f"{CGROUP}/{name}" for name in ("memory.max", "cpu.max", "pids.max")]
        shown = podman.ok("exec", box, "cat", *files).splitlines()
        assert shown == [str(64 * MIB), "50000 100000", "60"]
        (found,) = json.loads(podman.ok("stats", "--no-stream", "--format=json", box))
        used, _, limit = found["mem_usage"].partition(" / ")
        assert used.endswith("MB")
        assert float(used.removesuffix("MB")) > 60
        assert limit.endswith("MB")
        assert int(found["pids"]) > 4
        for memory, cpus in ((80, "0.7"), (512, "1.5"), (70, "0.3")):
            podman.ok("update", f"--memory={memory}m", f"--cpus={cpus}", box)
            shown = podman.ok("exec", box, "cat", *files[:2]).splitlines()
            assert shown == [str(memory * MIB), f"{int(float(cpus) * 100_000)} 100000"]


def test_podman_says_that_memory_ran_out(podman: Podman) -> None:
    flags = ("--name=hungry", "--network=none", "--memory=32m")
    answer = podman.run("run", *flags, IMAGE, "tail", "/dev/zero")
    try:
        assert answer.code == 137, answer.err
        wait_until(lambda: podman.inspected("hungry")["State"]["Status"] == "exited")
        state = podman.inspected("hungry")["State"]
        assert (state["OOMKilled"], state["ExitCode"]) == (True, 137)
        assert not list((podman.directory / "root").rglob("userdata/oom"))
    finally:
        podman.ok("rm", "--force", "--time=0", "hungry")
