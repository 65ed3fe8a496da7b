"""A QEMU as a `Machine`: memory and CPUs plugged by QMP, the console's tail kept bounded."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from enclos.errors import MachineFailed, TimedOut
from enclos.hypervisor.qemu import monitor, nics
from enclos.hypervisor.qemu.disks import Disks
from enclos.hypervisor.qemu.monitor import Monitor
from enclos.hypervisor.qemu.ports import Ports
from enclos.hypervisor.qemu.process import Qemu
from enclos.wire.places import SPARE_SLOT

CONSOLE_BYTES: Final = 16 * 1024
"""How much of the guest's console is kept: the guest decides what it writes there."""
_SHOWN_LINES: Final = 25
_ESCAPES: Final = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|[A-Za-z])")
"""What firmware and kernel send to a terminal to clear it."""


_HINT: Final = "try it with --no-template, and: enclos doctor"


class Console:
    """The last bytes of a console, read as they come so that QEMU never blocks on them."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._kept = bytearray()
        connection.setblocking(False)
        asyncio.get_running_loop().add_reader(connection.fileno(), self._readable)

    def text(self) -> str:
        """Its last lines, as printable text."""
        return printable(self._kept.decode("utf-8", "replace"))

    def drain(self) -> None:
        """Read what is still there after QEMU's end."""
        while self._readable():
            continue

    def close(self) -> None:
        """Stop reading."""
        asyncio.get_running_loop().remove_reader(self._socket.fileno())

    def _readable(self) -> bool:
        try:
            data = self._socket.recv(65536)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            return False
        self._kept += data
        del self._kept[:-CONSOLE_BYTES]
        return True


def printable(text: str) -> str:
    """The last lines of a console's output that are not empty, fit for any terminal."""
    lines = [
        "".join(letter if letter.isprintable() else " " for letter in line).rstrip()
        for line in _ESCAPES.sub("", text).splitlines()
    ]
    return "\n".join([line for line in lines if line][-_SHOWN_LINES:])


class QemuMachine:
    """The `Machine` that a QEMU process is."""

    def __init__(self, process: Qemu, control: Monitor, console: Console) -> None:
        self._process = process
        self._monitor = control
        self._console = console
        self._ports = Ports()
        self._disks = Disks(control, self._ports)

    async def plug_memory(self, total_bytes: int) -> None:
        """See `Machine`; virtio-mem takes any multiple of its 2 MiB blocks."""
        await self._monitor.execute(
            "qom-set",
            {"path": "/machine/peripheral/memory", "property": "requested-size",
             "value": total_bytes},
        )  # fmt: skip

    async def plug_disk(self, descriptor: int, serial: str, *, readonly: bool, block: bool) -> None:
        """See `Machine`."""
        await self._disks.plug(descriptor, serial, readonly=readonly, block=block)

    async def unplug_disk(self, serial: str) -> None:
        """See `Machine`."""
        await self._disks.unplug(serial)

    async def plug_nic(self, mac: str, descriptors: Sequence[int]) -> int:
        """See `Machine`."""
        with self._one_port() as slot:
            await nics.plug(self._monitor, slot, mac, descriptors)
        return slot

    async def plug_stream_nic(self, mac: str, descriptor: int) -> int:
        """See `Machine`."""
        with self._one_port() as slot:
            await nics.plug_stream(self._monitor, slot, mac, descriptor)
        return slot

    async def unplug_nic(self, slot: int) -> None:
        """See `Machine`."""
        if slot == SPARE_SLOT:
            await nics.cut_spare(self._monitor)
            return
        await nics.unplug(self._monitor, slot)
        self._ports.give_back(slot)

    @contextmanager
    def _one_port(self) -> Iterator[int]:
        """A port for a network interface, given back if that cannot be plugged in."""
        slot = self._ports.take("network interface")
        try:
            yield slot
        except BaseException:
            self._ports.give_back(slot)
            raise

    async def pause(self) -> None:
        """See `Machine`."""
        await self._monitor.execute("stop")

    async def resume(self) -> None:
        """See `Machine`."""
        await self._monitor.execute("cont")

    async def save(self, *, timeout_s: float) -> None:
        """Stop and write the device state to the descriptor it was wired with."""
        await monitor.save(self._monitor, timeout_s=timeout_s)

    async def close(self) -> None:
        """Let go of the channels, before the process is killed or its sockets closed."""
        self._console.close()
        await self._monitor.close()

    def tail(self) -> str:
        """See `Machine`."""
        self._console.drain()
        return self._console.text()


async def attach(process: Qemu, *, restoring: bool, timeout_s: float) -> QemuMachine:
    """Take control of a started QEMU; with `restoring`, load the template's state and run."""
    console = Console(process.console)
    try:
        control = await monitor.attach(process.monitor, timeout_s=timeout_s)
        if restoring:
            await monitor.load(control, timeout_s=timeout_s)
    except (MachineFailed, TimedOut) as error:
        console.drain()
        raise type(error)(
            error.message, hint=error.hint or _HINT, detail=console.text() or error.detail
        ) from error
    return QemuMachine(process, control, console)
