"""What is in a network namespace: the interfaces that are up, its loopback apart."""

from __future__ import annotations

import fcntl
import socket
import struct
from pathlib import Path
from typing import Final

from enclos.linux import namespaces

_SIOCGIFFLAGS: Final = 0x8913
_IFF_UP: Final = 1
_IFF_LOOPBACK: Final = 8
_NAME_BYTES: Final = 16


def interfaces(path: Path) -> tuple[str, ...]:
    """Names of the interfaces in use in the namespace behind `path`; raises `OSError`.

    The kernel's fallback devices of tunnel modules are in every namespace, and down.
    """
    kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
    with namespaces.entered(path, "network"), socket.socket(socket.AF_INET, kind) as asking:
        names = [name for _, name in socket.if_nameindex()]
        return tuple(name for name in names if _in_use(asking, name))


def _in_use(asking: socket.socket, name: str) -> bool:
    request = struct.pack(f"{_NAME_BYTES}sh22x", name.encode(), 0)
    try:
        answer = fcntl.ioctl(asking, _SIOCGIFFLAGS, request)
    except OSError:
        return False  # it has gone meanwhile
    (flags,) = struct.unpack_from("h", answer, _NAME_BYTES)
    return bool(flags & _IFF_UP) and not flags & _IFF_LOOPBACK
