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
from enclos.guest import limits
from enclos.guest.agent import Agent
from enclos.wire.messages import Devices, Nothing, Online

_PCI: Final = "/sys/bus/pci"
_PROCESSORS: Final = "/sys/devices/system/cpu"
_POLL_S: Final = 0.005
_TOLERANCE_BYTES: Final = 1 << 20


async def rescan(_agent: Agent, _: Nothing) -> Devices:
    """Look for new PCI devices; what is there now."""
    with open(f"{_PCI}/rescan", "w", encoding="ascii") as file:
        file.write("1")
    return Devices(tuple(sorted(os.listdir(f"{_PCI}/devices"))))


async def online(agent: Agent, request: Online) -> Online:
    """Wait until so much memory more than at boot, and so many processors, are in use.

    Raises `TimedOut` with what there is.
    """
    limit = time.monotonic() + request.timeout_ms / 1000
    while True:
        memory = managed_bytes() - agent.boot_managed_bytes
        vcpus = _processors(request.vcpus)
        if memory + _TOLERANCE_BYTES >= request.memory_bytes and vcpus >= request.vcpus:
            limits.scale(managed_bytes())
            return Online(memory, vcpus, request.timeout_ms)
        if time.monotonic() > limit:
            raise TimedOut(
                f"the guest has got {memory} of {request.memory_bytes} bytes and {vcpus} of "
                f"{request.vcpus} processors after {request.timeout_ms} ms"
            )
        await agent.loop.sleep(_POLL_S)


def managed_bytes() -> int:
    """The memory that the kernel has to give."""
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
