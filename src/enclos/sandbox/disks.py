"""Disks of a sandbox: block devices that containers were given, their roots, and its own one."""

from __future__ import annotations

from enclos import log
from enclos.errors import EnclosError
from enclos.sandbox.live import Container, Sandbox
from enclos.structs import dataclass
from enclos.wire import control as c
from enclos.wire import messages as m
from enclos.wire import places


def count(request: c.Create) -> int:
    """How many descriptors of a request are disks."""
    return len(request.disks) + bool(request.root) + bool(request.local)


@dataclass(frozen=True, slots=True)
class Plugged:
    """A container's disks as the guest is told of them."""

    disks: tuple[m.Disk, ...] = ()
    root: m.RootDisk | None = None


async def attach(
    sandbox: Sandbox, container: Container, request: c.Create, descriptors: list[int]
) -> Plugged:
    """Plug a container's disks and, for the first who wants it, the sandbox's own.

    QEMU gets copies of the descriptors, which stay the caller's.
    """
    machine = sandbox.the_machine()
    found: list[m.Disk] = []
    for disk, descriptor in zip(request.disks, descriptors, strict=False):
        serial = await _plug(sandbox, container, descriptor, readonly=disk.readonly, block=True)
        found.append(m.Disk(serial, disk.node))
    root: m.RootDisk | None = None
    if request.root is not None:
        asked, descriptor = request.root, descriptors[len(request.disks)]
        serial = await _plug(sandbox, container, descriptor, readonly=asked.readonly, block=False)
        root = m.RootDisk(serial, asked.type, asked.flags, asked.data)
    if request.local and not sandbox.has_local_disk:
        await machine.plug_disk(descriptors[-1], places.LOCAL_SERIAL, readonly=False, block=False)
        sandbox.has_local_disk = True
    return Plugged(tuple(found), root)


async def _plug(
    sandbox: Sandbox, container: Container, descriptor: int, *, readonly: bool, block: bool
) -> str:
    """The serial number of one more disk of the container's."""
    serial = f"disk{next(sandbox.disk_numbers)}"
    await sandbox.the_machine().plug_disk(descriptor, serial, readonly=readonly, block=block)
    container.disks.append(serial)
    return serial


async def detach(sandbox: Sandbox, container: Container) -> None:
    """Pull a container's disks out, which nobody uses any more.

    One that the guest does not let go of stays plugged, and is no reason to keep the others.
    """
    for serial in container.disks:
        try:
            await sandbox.the_machine().unplug_disk(serial)
        except EnclosError as error:
            log.warning("a disk stays plugged", container=container.record.id, error=error)
    container.disks.clear()
