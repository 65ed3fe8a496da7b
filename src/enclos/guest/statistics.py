"""A container's figures: the files of its cgroup as they are, for the host to read."""

from __future__ import annotations

import time
from typing import Final

from enclos.guest import cgroups
from enclos.guest.agent import Agent
from enclos.guest.records import Container, container
from enclos.wire.messages import Stats, Target

FILES: Final = (
    "cpu.stat", "cpu.max", "cpu.weight", "cpu.pressure", "cpuset.cpus.effective",
    "memory.current", "memory.max", "memory.high", "memory.low", "memory.peak", "memory.stat",
    "memory.events", "memory.swap.current", "memory.swap.max", "memory.pressure",
    "pids.current", "pids.max", "pids.peak", "io.stat", "io.pressure",
    "hugetlb.2MB.current", "hugetlb.2MB.max", "hugetlb.2MB.events",
    "rdma.current", "cgroup.events", "cgroup.stat",
)  # fmt: skip
NETWORK: Final = "net/dev"
"""Key of /proc/PID/net/dev of the container's init."""


async def figures(agent: Agent, request: Target) -> Stats:
    """All files there are."""
    owner = container(agent.containers, request.id)
    found = {name: cgroups.read(owner.cgroup, name) for name in FILES}
    found[NETWORK] = _network(owner)
    files = {name: text for name, text in found.items() if text is not None}
    return Stats(files, time.time_ns())


def _network(owner: Container) -> str | None:
    if owner.init.status is not None:
        return None
    return cgroups.read(f"/proc/{owner.init.pid}", NETWORK)
