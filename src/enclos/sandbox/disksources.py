"""Opens what a container's disks are: in the caller, who may have been given other devices."""

from __future__ import annotations

import os
from contextlib import ExitStack

from enclos.config.settings import Settings
from enclos.errors import EnclosError, InvalidRequest
from enclos.linux import blockdevice
from enclos.plan.guestdevices import HostDisk
from enclos.plan.guestspec import GuestPlan


def open_all(guest: GuestPlan, settings: Settings, opened: ExitStack) -> list[int]:
    """The block devices in their order and, last, a new disk if the plan has local directories.

    Raises `InvalidRequest` for a device that cannot be opened, by its name in the container.
    """
    found = [_open(disk, opened) for disk in guest.disks]
    if guest.local:
        from enclos.storage import localdisk  # few containers have one

        own = localdisk.make(settings.data_root, settings.local_disk_bytes)
        opened.callback(os.close, own)
        found.append(own)
    return found


def _open(disk: HostDisk, opened: ExitStack) -> int:
    number = f"{disk.path} ({disk.major}:{disk.minor})"
    try:
        descriptor = blockdevice.open_number(disk.major, disk.minor, writable=not disk.readonly)
    except (EnclosError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else error.message
        raise InvalidRequest(
            f"cannot pass the device {number}: {reason}",
            hint="name a block device of this host that has a medium",
        ) from error
    opened.callback(os.close, descriptor)
    if not blockdevice.size_bytes(descriptor):
        raise InvalidRequest(
            f"cannot pass the device {number}: it is empty",
            hint="name a block device of this host that has a medium",
        )
    return descriptor
