"""What arrives while the machine runs: PCI devices, memory, processors.

Memory is counted by what the kernel manages: virtio-mem may plug parts of a block, which sysfs
would count as a whole. Processors may be there from the boot on, switched off (`maxcpus=1`):
without KVM the kernel takes the machine for a bare one and ignores those that could be added.
"""

from __future__ import annotations

import os
import time
from typing import Final

from enclos.errors import TimedOut
from enclos.guest.agent import Agent
from enclos.wire.messages import Devices, Nothing, Online

_PCI: Final = "/sys/bus/pci"
_PROCESSORS: Final = "/sys/devices/system/cpu"
_MEMORY: Final = "/sys/devices/system/memory"
_POLL_S: Final = 0.005
_TOLERANCE_BYTES: Final = 1 << 20


async def rescan(_agent: Agent, _: Nothing) -> Devices:
    """Look for new PCI devices; what is there now."""
    with open(f"{_PCI}/rescan", "w", encoding="ascii") as file:
        file.write("1")
    return Devices(tuple(sorted(os.listdir(f"{_PCI}/devices"))))


async def online(agent: Agent, request: Online) -> Online:
    """Wait until memory and processors are in use; raises `TimedOut` with what there is."""
    limit = time.monotonic() + request.timeout_ms / 1000
    while True:
        memory, vcpus = _managed_bytes() + agent.reserved_bytes, _processors(request.vcpus)
        if memory + _TOLERANCE_BYTES >= request.memory_bytes and vcpus >= request.vcpus:
            return Online(memory, vcpus, request.timeout_ms)
        if time.monotonic() > limit:
            raise TimedOut(
                f"the guest has {memory} of {request.memory_bytes} bytes and {vcpus} of "
                f"{request.vcpus} processors after {request.timeout_ms} ms"
            )
        await agent.loop.sleep(_POLL_S)


def reserved_bytes() -> int:
    """What the kernel has taken for itself of the memory the machine has."""
    with open(f"{_MEMORY}/block_size_bytes", encoding="ascii") as file:
        size = int(file.read(), 16)
    blocks = [name for name in os.listdir(_MEMORY) if name[6:].isdigit()]
    return sum(size for name in blocks if _state(name) == "online") - _managed_bytes()


def _state(block: str) -> str:
    with open(f"{_MEMORY}/{block}/state", encoding="ascii") as file:
        return file.read().strip()


def _managed_bytes() -> int:
    with open("/proc/meminfo", encoding="ascii") as file:
        return int(file.readline().split()[1]) * 1024


def _processors(wanted: int) -> int:
    """How many run, after switching on as many more as are wanted and there."""
    for number in range(1, wanted):
        switch = f"{_PROCESSORS}/cpu{number}/online"
        if not os.path.exists(switch):
            break
        with open(switch, "r+", encoding="ascii") as file:
            if file.read().strip() == "0":
                file.write("1")
    return os.sysconf("SC_NPROCESSORS_ONLN")
