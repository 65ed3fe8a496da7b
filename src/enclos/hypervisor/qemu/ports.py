"""The root ports of one machine: what is plugged in while it runs, disks and interfaces alike.

One table for both, so that none is given out twice. A port whose device the guest does not let
go of stays taken.
"""

from __future__ import annotations

from enclos.errors import InvalidRequest
from enclos.hypervisor.qemu.argv import ROOT_PORTS


class Ports:
    """Which of the ports are taken."""

    def __init__(self) -> None:
        self._free = set(range(ROOT_PORTS))

    def take(self, what: str, *, last: bool = False) -> int:
        """The first free port, or the `last`, for `what`; raises `InvalidRequest` if none is."""
        if not self._free:
            raise InvalidRequest(
                f"the machine has no room for one more {what}: it has {ROOT_PORTS} slots for disks "
                "and network interfaces",
                hint="pass fewer devices, connect fewer networks, or use more machines",
            )
        port = max(self._free) if last else min(self._free)
        self._free.discard(port)
        return port

    def give_back(self, port: int) -> None:
        """Its device is gone."""
        self._free.add(port)
