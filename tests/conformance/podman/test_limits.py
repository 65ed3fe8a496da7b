"""Limits as podman sets and shows them."""

from __future__ import annotations

import json

from tests.support.podman import Podman

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
        podman.ok("update", "--memory=80m", "--cpus=0.7", box)
        shown = podman.ok("exec", box, "cat", *files[:2]).splitlines()
        assert shown == [str(80 * MIB), "70000 100000"]
