"""The /dev/shm of containers that an engine made one for: a tmpfs here, not the host's.

Shared by those that share its owner's IPC namespace. On the share it would be slow, and no
memory: two mounts of one file there have two page caches.
"""

from __future__ import annotations

import os

from enclos.ids import check_id
from enclos.linux import libc
from enclos.wire.places import SHM_PATH


def ensure(owner: str, size_bytes: int) -> None:
    """Mount the memory of `owner`, unless somebody has; raises `OSError`."""
    path = _path(owner)
    if not os.path.ismount(path):
        os.makedirs(path, exist_ok=True)
        flags = libc.MS_NOSUID | libc.MS_NODEV | libc.MS_NOEXEC
        libc.mount("shm", path, "tmpfs", flags, f"mode=1777,size={size_bytes}")


def forget(owner: str) -> None:
    """Let go of it; who has it mounted keeps it."""
    path = _path(owner)
    if os.path.ismount(path):
        libc.umount2(path, libc.MNT_DETACH)
        os.rmdir(path)


def _path(owner: str) -> str:
    return f"{SHM_PATH}/{check_id(owner)}"
