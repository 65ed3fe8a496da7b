"""The tmpfs that an engine makes for a container's /dev/shm, looked at before it is planned."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from enclos.linux import mountinfo
from enclos.oci.types import Mount
from enclos.plan.guestmounts import SHM

_SOURCE: Final = "shm"
"""What podman, dockerd and containerd call their tmpfs."""


def size_bytes(mounts: Sequence[Mount]) -> int:
    """The size of the tmpfs bound to /dev/shm; 0 if there is none or it is somebody's own."""
    for mount in mounts:
        if mount.binds and posixpath.join("/", mount.destination) == SHM:
            return _size_bytes(Path(mount.source))
    return 0


def _size_bytes(source: Path) -> int:
    made = [entry for entry in mountinfo.entries() if entry.target == source]
    if not made or (made[-1].fstype, made[-1].source) != ("tmpfs", _SOURCE):
        return 0
    found = os.statvfs(source)
    return found.f_blocks * found.f_frsize
