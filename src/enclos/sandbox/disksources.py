"""Opens what a container's disks are: in the caller, who may have been given other devices."""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack
from pathlib import Path

from enclos.config.settings import Settings
from enclos.errors import EnclosError, InvalidRequest
from enclos.linux import blockdevice, libc
from enclos.plan.guestdevices import HostDisk
from enclos.plan.guestspec import GuestPlan
from enclos.structs import dataclass


@dataclass(frozen=True, slots=True)
class RootFile:
    """A file with a file system, to be a container's root: mounted in the guest, not here.

    `type`, `flags` and `data` are those of mount(2).
    """

    path: Path
    type: str
    flags: int
    data: str

    @property
    def readonly(self) -> bool:
        """Whether nothing may be written to it."""
        return bool(self.flags & libc.MS_RDONLY)


def open_all(
    guest: GuestPlan, settings: Settings, opened: ExitStack, *, root: RootFile | None
) -> list[int]:
    """The block devices in their order, the `root` if there is one and, last, a new disk if the
    plan has local directories.

    Raises `InvalidRequest` for a device that cannot be opened, by its name in the container.
    """
    found = [_open(disk, opened) for disk in guest.disks]
    if root is not None:
        found.append(_open_root(root, opened))
    if guest.local:
        from enclos.storage import localdisk  # few containers have one

        own = localdisk.make(settings.data_root, settings.local_disk_bytes)
        opened.callback(os.close, own)
        found.append(own)
    return found


def _open_root(root: RootFile, opened: ExitStack) -> int:
    flags = os.O_RDONLY if root.readonly else os.O_RDWR
    try:
        descriptor = os.open(root.path, flags | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise InvalidRequest(
            f"cannot open the root file system {root.path}: {error.strerror}",
            hint="see its snapshotter",
        ) from error
    opened.callback(os.close, descriptor)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise InvalidRequest(
            f"the root file system {root.path} is no file", hint="see its snapshotter"
        )
    return descriptor


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
