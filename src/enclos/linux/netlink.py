"""Netlink sockets: a request and its answer, dumps, and being told of changes.

A socket belongs to the network namespace it was opened in, wherever its owner goes. Errors are
`OSError` with the kernel's own words where it has some (extended acknowledgements, Linux 4.12).
The guest uses this file, too.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import Final, Self

ROUTE: Final = 0
SOCK_DIAG: Final = 4
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
EXCL: Final = 0x200
REPLACE: Final = 0x100
CREATE: Final = 0x400
APPEND: Final = 0x800
_ERROR, _DONE = 2, 3
_INTERRUPTED, _CAPPED, _ACK_TLVS = 0x10, 0x100, 0x200
_HEADER: Final = struct.Struct("=IHHII")
_CODE: Final = struct.Struct("=i")
_SOL_NETLINK: Final = 270
_EXT_ACK: Final = 11
_ADD_MEMBERSHIP: Final = 1
_MESSAGE_ATTRIBUTE: Final = 1
_READ_BYTES: Final = 1 << 18
_DUMPS: Final = 8
_ENOBUFS: Final = 105

GROUPS: Final = {
    "link": 1,
    "ipv4 address": 5,
    "ipv4 route": 7,
    "ipv4 rule": 8,
    "ipv6 address": 9,
    "ipv6 route": 11,
    "ipv6 rule": 19,
}
"""Numbers of the groups of rtnetlink that tell of changes."""


class Netlink:
    """An open netlink socket. Blocking: the kernel answers before `send` returns."""

    def __init__(self, protocol: int = ROUTE, *, groups: tuple[int, ...] = ()) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
        self._socket: Final = socket.socket(socket.AF_NETLINK, kind, protocol)
        self._sequence = 0
        try:
            self._socket.setsockopt(_SOL_NETLINK, _EXT_ACK, 1)
        except OSError:
            self._sequence = 0  # before Linux 4.12: numbers without words
        try:
            self._socket.bind((0, 0))
            for group in groups:
                self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it; twice is fine."""
        self._socket.close()

    def fileno(self) -> int:
        """The descriptor, to be watched."""
        return self._socket.fileno()

    def request(self, kind: int, body: bytes, flags: int = 0) -> None:
        """Have something done; raises `OSError` if it was not."""
        sequence = self._send(kind, body, flags | _ACK)
        while True:
            for number, code, flags_, data in self._receive():
                if number == sequence and code == _ERROR:
                    _check(data, flags_)
                    return

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        """The bodies of all that there is of a kind; asks again if it changed meanwhile."""
        found = list[bytes]()
        for _ in range(_DUMPS):
            found, whole = self._dump(kind, body)
            if whole:
                return found
        return found

    def drain(self) -> bool:
        """Take all notices that have come; whether there were any, or too many to be told."""
        told = False
        self._socket.setblocking(False)
        try:
            while True:
                try:
                    self._socket.recv(_READ_BYTES)
                except BlockingIOError:
                    return told
                except OSError as error:
                    if error.errno != _ENOBUFS:
                        raise
                told = True
        finally:
            self._socket.setblocking(True)

    def _dump(self, kind: int, body: bytes) -> tuple[list[bytes], bool]:
        sequence = self._send(kind, body, _DUMP)
        found: list[bytes] = []
        whole = True
        while True:
            for number, code, flags, data in self._receive():
                if number != sequence:
                    continue
                whole = whole and not flags & _INTERRUPTED
                if code == _DONE:
                    return found, whole
                if code == _ERROR:
                    _check(data, flags)
                    return found, whole
                found.append(data)

    def _send(self, kind: int, body: bytes, flags: int) -> int:
        self._sequence += 1
        header = _HEADER.pack(_HEADER.size + len(body), kind, flags | _REQUEST, self._sequence, 0)
        self._socket.send(header + body)
        return self._sequence

    def _receive(self) -> list[tuple[int, int, int, bytes]]:
        """The messages of one datagram: sequence number, kind, flags, body."""
        data = self._socket.recv(_READ_BYTES)
        found: list[tuple[int, int, int, bytes]] = []
        at = 0
        while at + _HEADER.size <= len(data):
            length, kind, flags, sequence, _ = _HEADER.unpack_from(data, at)
            if length < _HEADER.size or at + length > len(data):
                break
            found.append((sequence, kind, flags, data[at + _HEADER.size : at + length]))
            at += (length + 3) & ~3
        return found


def _check(data: bytes, flags: int) -> None:
    """Raise what an acknowledgement says, if it is an error."""
    (code,) = _CODE.unpack_from(data)
    if not code:
        return
    words = _words(data, flags) if flags & _ACK_TLVS else ""
    raise OSError(-code, f"netlink: {words or os.strerror(-code)}")


def _words(data: bytes, flags: int) -> str:
    """The message of an extended acknowledgement."""
    inner = _HEADER.size if flags & _CAPPED else _HEADER.unpack_from(data, _CODE.size)[0]
    at = _CODE.size + ((inner + 3) & ~3)
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4:
            break
        if kind & 0x3FFF == _MESSAGE_ATTRIBUTE:
            return data[at + 4 : at + length].rstrip(b"\0").decode("utf-8", "replace")
        at += (length + 3) & ~3
    return ""
