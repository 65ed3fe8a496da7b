"""Disks that are plugged into a running QEMU and pulled out again.

A disk is an open descriptor: QEMU, which is jailed, is given it by QMP and opens no path of the
host. Each sits in one of the root ports that the machine has for what comes later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final, cast

from enclos import log
from enclos.errors import EnclosError
from enclos.hypervisor.qemu.monitor import Monitor, Value
from enclos.hypervisor.qemu.ports import Ports

_FIRST_SET: Final = 16
"""Descriptor sets below belong to templates."""
_UNPLUG_S: Final = 10.0
_REPORT: Final = {"werror": "report", "rerror": "report"}
"""Errors are the guest's to see; QEMU would stop the machine on a full disk of the host."""


class Disks:
    """The disks of one machine by serial number, each with its port."""

    def __init__(self, monitor: Monitor, ports: Ports) -> None:
        self._monitor = monitor
        self._free = ports
        self._ports: dict[str, int] = {}
        self._lock = asyncio.Lock()

    async def plug(self, descriptor: int, serial: str, *, readonly: bool, block: bool) -> None:
        """Plug what `descriptor` is open on, a block device or a file; raises `MachineFailed`,
        and `InvalidRequest` if all ports are taken."""
        async with self._lock:
            port = self._free.take("disk", last=True)
            self._ports[serial] = port
            try:
                await self._plug(descriptor, serial, port=port, readonly=readonly, block=block)
            except BaseException:
                self._free.give_back(self._ports.pop(serial))
                raise

    async def unplug(self, serial: str) -> None:
        """Pull a disk out, which the guest has to let go of; one that it keeps stays plugged."""
        async with self._lock:
            if serial not in self._ports:
                return
            try:
                await self._unplug(serial)
            except EnclosError as error:
                log.warning("a disk could not be pulled out", disk=serial, error=error)
                return
            self._free.give_back(self._ports.pop(serial))

    async def _plug(
        self, descriptor: int, serial: str, *, port: int, readonly: bool, block: bool
    ) -> None:
        await self._monitor.add_descriptor(descriptor, set_id=_FIRST_SET + port)
        try:
            await self._attach(serial, port=port, readonly=readonly, block=block)
        except BaseException:
            await self._forget(serial, port=port)
            raise

    async def _attach(self, serial: str, *, port: int, readonly: bool, block: bool) -> None:
        file: Mapping[str, Value] = {
            "driver": "host_device" if block else "file",
            "filename": f"/dev/fdset/{_FIRST_SET + port}",
            "discard": "unmap",
            "locking": "off",
        }
        await self._monitor.execute(
            "blockdev-add",
            {"driver": "raw", "node-name": serial, "read-only": readonly, "file": file},
        )
        device = {"driver": "virtio-blk-pci", "id": serial, "drive": serial, "serial": serial}
        await self._monitor.execute("device_add", {**device, "bus": f"port{port}", **_REPORT})

    async def _unplug(self, serial: str) -> None:
        async with self._monitor.expecting("DEVICE_DELETED", timeout_s=_UNPLUG_S) as events:
            await self._monitor.execute("device_del", {"id": serial})
            while True:
                data = cast("Mapping[str, Value]", (await events.get())["data"])
                if data.get("device") == serial:
                    break
        await self._forget(serial, port=self._ports[serial])

    async def _forget(self, serial: str, *, port: int) -> None:
        """Let go of the file behind a disk that is not plugged (any more)."""
        for command, arguments in (
            ("blockdev-del", {"node-name": serial}),
            ("remove-fd", {"fdset-id": _FIRST_SET + port}),
        ):
            try:
                await self._monitor.execute(command, arguments)
            except EnclosError as error:
                log.info("nothing to let go of", disk=serial, command=command, error=error)
