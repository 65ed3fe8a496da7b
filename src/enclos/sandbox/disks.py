"""Disks of a sandbox: block devices of the host that containers were given, and its own one."""

from __future__ import annotations

from enclos import log
from enclos.errors import EnclosError
from enclos.sandbox.live import Container, Sandbox
from enclos.wire import control as c
from enclos.wire import messages as m
from enclos.wire import places


def count(request: c.Create) -> int:
    """How many descriptors of a request are disks."""
    return len(request.disks) + bool(request.local)


async def attach(
    sandbox: Sandbox, container: Container, request: c.Create, descriptors: list[int]
) -> tuple[m.Disk, ...]:
    """Plug a container's disks and, for the first who wants it, the sandbox's own.

    QEMU gets copies of the descriptors, which stay the caller's.
    """
    machine = sandbox.the_machine()
    found: list[m.Disk] = []
    for disk, descriptor in zip(request.disks, descriptors, strict=False):
        serial = f"disk{next(sandbox.disk_numbers)}"
        await machine.plug_disk(descriptor, serial, readonly=disk.readonly, block=True)
        container.disks.append(serial)
        found.append(m.Disk(serial, disk.node))
    if request.local and not sandbox.has_local_disk:
        await machine.plug_disk(descriptors[-1], places.LOCAL_SERIAL, readonly=False, block=False)
        sandbox.has_local_disk = True
    return tuple(found)


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
