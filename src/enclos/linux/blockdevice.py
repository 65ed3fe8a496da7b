"""Block devices by their number: a spec has no path of the host's, and names may lie."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from enclos.errors import NotFound

_NUMBERS: Final = "/sys/dev/block"


def open_number(major: int, minor: int, *, writable: bool) -> int:
    """A descriptor of the device with this number; raises `NotFound` and `OSError`.

    The kernel's name for it is looked up and checked against the number.
    """
    path = _node(major, minor)
    flags = (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC | os.O_NONBLOCK
    descriptor = os.open(path, flags)
    found = os.fstat(descriptor)
    if not stat.S_ISBLK(found.st_mode) or found.st_rdev != os.makedev(major, minor):
        os.close(descriptor)
        raise NotFound(f"{path} is not the block device {major}:{minor}")
    return descriptor


def size_bytes(descriptor: int) -> int:
    """How large the device is; 0 without a medium."""
    return os.lseek(descriptor, 0, os.SEEK_END)


def _node(major: int, minor: int) -> Path:
    try:
        lines = Path(f"{_NUMBERS}/{major}:{minor}/uevent").read_text().splitlines()
    except FileNotFoundError as error:
        raise NotFound(f"there is no block device {major}:{minor}") from error
    names = [line.removeprefix("DEVNAME=") for line in lines if line.startswith("DEVNAME=")]
    if not names:
        raise NotFound(f"the block device {major}:{minor} has no name")
    return Path("/dev") / names[0]
