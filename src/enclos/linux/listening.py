"""Sockets that listen in a network namespace: who does, as /proc/net tells, and one more.

Host and guest use it.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import Final

_TCP: Final = (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6))
_UDP: Final = (("udp", socket.AF_INET), ("udp6", socket.AF_INET6))
_READ_BYTES: Final = 1 << 18
_LISTEN: Final = "0A"
_UNCONNECTED: Final = "07"
_DOCKERS: Final = "127.0.0.11"
_LOOPBACK6: Final = "::1"
DNS_PORT: Final = 53
_WORD: Final = 8


def sockets() -> set[tuple[str, int]]:
    """Address and port of each in the namespace of this process's main thread.

    Bounded: the kernel lists listeners before all others, some 1,700 of them are read.
    """
    return _told(_TCP, _LISTEN)


def resolvers() -> set[str]:
    """Addresses of the loopback at which names are resolved there, by UDP.

    That is port 53; docker's own server is at 127.0.0.11 by any port, and a rule leads to it.
    """
    return {
        address
        for address, port in _told(_UDP, _UNCONNECTED)
        if (address == _LOOPBACK6 or address.startswith("127."))
        and (port == DNS_PORT or address == _DOCKERS)
    }


def family(address: str) -> socket.AddressFamily:
    """The family of a numeric address."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def bind(door: socket.socket, where: tuple[str, int], *, backlog: int) -> None:
    """Listen with a stream socket; one for all of IPv6 leaves IPv4 to who has the port there.

    Raises `OSError` if the place is taken or not of this namespace.
    """
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        door.bind(where)
    except OSError as error:
        if door.family == socket.AF_INET or error.errno != errno.EADDRINUSE:
            raise
        door.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        door.bind(where)
    door.listen(backlog)


def _told(tables: tuple[tuple[str, int], ...], state: str) -> set[tuple[str, int]]:
    """Those of several tables; a kernel without IPv6 has no table of it."""
    found: set[tuple[str, int]] = set()
    for name, kind in tables:
        path = f"/proc/self/net/{name}"
        if os.path.exists(path):
            with open(path, "rb") as file:
                found |= parsed(file.read(_READ_BYTES).decode("ascii"), kind, state=state)
    return found


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
