"""What arrives while the machine runs: PCI devices, memory, processors."""

from __future__ import annotations

import os
import time
from typing import Final

from enclos.errors import TimedOut
from enclos.guest.agent import Agent
from enclos.wire.messages import Devices, Nothing, Online

_PCI: Final = "/sys/bus/pci"
_PROCESSORS: Final = "/sys/devices/system/cpu"
_POLL_S: Final = 0.005
_TOLERANCE_BYTES: Final = 1 << 20


async def rescan(_: Agent, request: Nothing) -> Devices:
    """Look for new PCI devices; what is there now."""
    with open(f"{_PCI}/rescan", "w", encoding="ascii") as file:
        file.write("1")
    return Devices(tuple(sorted(os.listdir(f"{_PCI}/devices"))))


async def online(agent: Agent, request: Online) -> Online:
    """Wait until memory and processors are in use; raises `TimedOut` with what there is."""
    limit = time.monotonic() + request.timeout_ms / 1000
    while True:
        memory, vcpus = _memory_bytes(agent), _processors()
        if memory + _TOLERANCE_BYTES >= request.memory_bytes and vcpus >= request.vcpus:
            return Online(memory, vcpus, request.timeout_ms)
        if time.monotonic() > limit:
            raise TimedOut(
                f"the guest has {memory} of {request.memory_bytes} bytes and {vcpus} of "
                f"{request.vcpus} processors after {request.timeout_ms} ms"
            )
        await agent.loop.sleep(_POLL_S)


def memory_total_bytes() -> int:
    """What the kernel manages; less than the machine has, by what the kernel itself took."""
    with open("/proc/meminfo", encoding="ascii") as file:
        return int(file.readline().split()[1]) * 1024


def _memory_bytes(agent: Agent) -> int:
    """What has been plugged since the boot."""
    return memory_total_bytes() - agent.boot_memory_bytes


def _processors() -> int:
    """How many run, after those that arrived meanwhile have been switched on."""
    for entry in os.listdir(_PROCESSORS):
        switch = f"{_PROCESSORS}/{entry}/online"
        if not entry[3:].isdigit() or not os.path.exists(switch):
            continue
        with open(switch, "r+", encoding="ascii") as file:
            if file.read().strip() == "0":
                file.write("1")
    return os.sysconf("SC_NPROCESSORS_ONLN")
