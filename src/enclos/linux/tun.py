"""TAP devices: an interface whose packets a program reads and writes.

Not persistent: the device goes with its last descriptor, so none is left by whoever is killed.
It is made in the network namespace of the caller.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from typing import Final

from enclos.errors import HostUnfit

DEVICE: Final = "/dev/net/tun"
_TUNSETIFF: Final = 0x400454CA
_TUNSETVNETHDRSZ: Final = 0x400454D8
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR, _IFF_MULTI_QUEUE = 0x2, 0x1000, 0x4000, 0x100
_VIRTIO_NET_HEADER: Final = 12
_MISSING: Final = "load the kernel's module: modprobe tun"
_REFUSED: Final = "allow it where enclos runs: device c 10:200, on a file system without nodev"
_REQUEST: Final = struct.Struct("=16sH22x")


def create(pattern: str, *, queues: int = 1) -> tuple[str, list[int]]:
    """A tap called by `pattern` (with %d for a free number) and a descriptor for each queue.

    Raises `HostUnfit` where /dev/net/tun is missing or refused, else `OSError`.
    """
    flags = _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR | (_IFF_MULTI_QUEUE if queues > 1 else 0)
    name, descriptors = pattern, list[int]()
    try:
        for _ in range(queues):
            descriptors.append(_open())
            answer = fcntl.ioctl(descriptors[-1], _TUNSETIFF, _REQUEST.pack(name.encode(), flags))
            name = answer[:16].rstrip(b"\0").decode()
            fcntl.ioctl(descriptors[-1], _TUNSETVNETHDRSZ, struct.pack("=i", _VIRTIO_NET_HEADER))
    except BaseException:
        for descriptor in descriptors:
            os.close(descriptor)
        raise
    return name, descriptors


def _open() -> int:
    try:
        return os.open(DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        refused = error.errno in {errno.EACCES, errno.EPERM}
        raise HostUnfit(
            f"cannot open {DEVICE}: {error.strerror}", hint=_REFUSED if refused else _MISSING
        ) from error
