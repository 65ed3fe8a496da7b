"""What the engine needs of a running VM, whichever program makes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Machine(Protocol):
    """A VM that runs; every method raises `MachineFailed` or `TimedOut`."""

    async def plug_memory(self, total_bytes: int) -> None:
        """Ask for `total_bytes` beyond the base memory; the guest onlines it by itself."""

    async def plug_disk(self, descriptor: int, serial: str, *, readonly: bool, block: bool) -> None:
        """Add a disk, known to the guest by `serial`: a block device if `block`, else a file.

        Raises `InvalidRequest` as well, if there is no slot left for it.
        """

    async def unplug_disk(self, serial: str) -> None:
        """Take it away again, if the guest lets go of it."""

    async def pause(self) -> None:
        """Stop all virtual CPUs."""

    async def resume(self) -> None:
        """Let them run."""

    async def plug_nic(self, mac: str, descriptors: Sequence[int]) -> int:
        """A network interface that a tap's descriptors, one per queue, lead to; its slot.

        Raises `InvalidRequest` as well, if there is no slot left for it.
        """
        ...

    async def plug_stream_nic(self, mac: str, descriptor: int) -> int:
        """The same, with a connected socket that carries frames, their lengths before them."""
        ...

    async def unplug_nic(self, slot: int) -> None:
        """Take it away; the guest must let go of it.

        The one that a machine has from its start (`SPARE_SLOT`) only loses what is behind it.
        """

    def tail(self) -> str:
        """The last lines the guest's kernel wrote to its console."""
        ...
