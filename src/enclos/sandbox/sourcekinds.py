"""Looks at what bind mounts' sources are: some kinds of file mean nothing to another kernel.

A socket is a name without its listener there, a device a number of another driver's. The guest's
own trees (/dev and its like) are bound instead of the host's; even there a block device that the
specification names is one of the host's, and the guest's of that name would be another.
"""

from __future__ import annotations

import os
import posixpath
import stat
from pathlib import Path
from typing import Final

from enclos.errors import InvalidRequest
from enclos.oci.complaint import refusal
from enclos.oci.linux import Device
from enclos.oci.types import Mount
from enclos.plan import guestdevices

_SOCKET: Final = "share a directory and listen there inside, or use TCP"
_DISK: Final = "pass it as a device: linux.devices, --device, a volume of mode Block"
_DEVICE: Final = "leave it out: the guest's own devices are in its /dev"


def check(mounts: tuple[Mount, ...], bundle: Path, *, served: str = "") -> None:
    """Raises `InvalidRequest` for a source that the guest cannot have.

    `served` is a socket that is passed on by other means. What is not there is left to whoever
    opens it.
    """
    for at, mount in enumerate(mounts):
        source = posixpath.join(os.fspath(bundle), mount.source)
        if mount.binds and posixpath.normpath(source) != served:
            _check(f"mounts[{at}].source", mount.source, source)


def _check(where: str, name: str, path: str) -> None:
    try:
        found = os.stat(path)
    except OSError:
        return
    if refused := _refused(where, name, found):
        raise refused


def _refused(where: str, name: str, found: os.stat_result) -> InvalidRequest | None:
    shown = name[:200]
    if stat.S_ISSOCK(found.st_mode):
        return refusal(where, f"{shown} is a socket of the host, which has no listener in the "
                       "guest", _SOCKET)  # fmt: skip
    if stat.S_ISBLK(found.st_mode):
        return refusal(where, f"{shown} is a disk of the host", _DISK)
    if stat.S_ISCHR(found.st_mode):
        major, minor = os.major(found.st_rdev), os.minor(found.st_rdev)
        if not guestdevices.serves(Device("c", name, major, minor)):
            return refusal(where, f"{shown} ({major}:{minor}) is a device of the host", _DEVICE)
    return None
