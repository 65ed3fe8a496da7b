"""Sockets that listen in a network namespace, as /proc/net tells. Host and guest use it."""

from __future__ import annotations

import os
import socket
from typing import Final

_TABLES: Final = (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6))
_READ_BYTES: Final = 1 << 18
_LISTEN: Final = "0A"
_UNCONNECTED: Final = "07"
_DOCKERS: Final = "127.0.0.11"
DNS_PORT: Final = 53
_WORD: Final = 8


def sockets() -> set[tuple[str, int]]:
    """Address and port of each in the namespace of this process's main thread.

    Bounded: the kernel lists listeners before all others, some 1,700 of them are read.
    """
    found: set[tuple[str, int]] = set()
    for name, family in _TABLES:
        path = f"/proc/self/net/{name}"
        if os.path.exists(path):
            with open(path, "rb") as file:
                found |= parsed(file.read(_READ_BYTES).decode("ascii"), family)
    return found


def resolvers() -> set[str]:
    """Addresses of the loopback at which names are resolved there, by UDP.

    That is port 53; docker's own server is at 127.0.0.11 by any port, and a rule leads to it.
    """
    with open("/proc/self/net/udp", "rb") as file:
        bound = parsed(file.read(_READ_BYTES).decode("ascii"), socket.AF_INET, state=_UNCONNECTED)
    return {
        address
        for address, port in bound
        if address.startswith("127.") and (port == DNS_PORT or address == _DOCKERS)
    }


def parsed(table: str, family: int, *, state: str = _LISTEN) -> set[tuple[str, int]]:
    """The listeners of one table; a line that was cut off is none."""
    found: set[tuple[str, int]] = set()
    for line in table.splitlines()[1:]:
        words = line.split()
        if len(words) > 3 and words[3] == state:
            address, _, port = words[1].partition(":")
            found.add((socket.inet_ntop(family, _raw(address)), int(port, 16)))
    return found


def _raw(address: str) -> bytes:
    """An address of the table, which has words in the byte order of the machine."""
    words = (address[at : at + _WORD] for at in range(0, len(address), _WORD))
    return b"".join(int(word, 16).to_bytes(4, "little") for word in words)
