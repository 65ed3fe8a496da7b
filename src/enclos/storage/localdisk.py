"""A sandbox's own disk: a sparse file without a name, with an empty ext4 on it.

Without a name it ends with its last descriptor, however that comes about; the host never
mounts it, since what is on it is the guest's.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

from enclos.errors import HostUnfit
from enclos.linux import process

_PROGRAM: Final = "mkfs.ext4"
_OPTIONS: Final = (
    "-q",
    "-F",
    "-O",
    "^has_journal",
    "-m",
    "0",
    "-E",
    "lazy_itable_init=1,nodiscard",
)
_TIMEOUT_S: Final = 120
_LEAST_BYTES: Final = 16 << 20


def make(directory: Path, size_bytes: int) -> int:
    """A descriptor of a new disk in `directory`'s file system.

    No journal: nothing is left of it after a crash. Raises `MachineFailed`, and `HostUnfit` if
    there is no room or no program to make it.
    """
    if size_bytes < _LEAST_BYTES:
        raise HostUnfit(
            f"a disk of {size_bytes} bytes is too small for a file system",
            hint="set local_disk_bytes to 16M or more, or to 0 for none",
        )
    try:
        with tempfile.TemporaryFile(dir=directory, prefix=".local-", buffering=0) as file:
            file.truncate(size_bytes)
            descriptor = file.fileno()
            path = f"/proc/self/fd/{descriptor}"
            process.run(
                [_PROGRAM, *_OPTIONS, path],
                pass_fds=(descriptor,),
                timeout_s=_TIMEOUT_S,
                package="e2fsprogs",
            )
            return os.dup(descriptor)
    except OSError as error:
        raise HostUnfit(
            f"cannot make the sandbox's own disk in {directory}: {error.strerror}",
            hint="make room there, or set local_disk_bytes to 0",
        ) from error
