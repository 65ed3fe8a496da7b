"""Terminals: receiving the master from crun's console socket, and setting its size.

The agent holds the slave open as long as the process lives: a program that closes its
terminal and opens it again (an init system, say) must not look like the end of its output.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import termios
from typing import Final

from enclos.errors import InvalidRequest
from enclos.guest.loop import READ, Loop
from enclos.guest.tasks import Promise

DIRECTORY: Final = "/run/enclos"
_TIOCGPTPEER: Final = 0x5441
_NAME_BYTES: Final = 4096
_last: list[int] = [0]


class ConsoleSocket:
    """A socket at `path` on which crun hands over one terminal master."""

    def __init__(self, loop: Loop) -> None:
        _last[0] += 1
        self._loop = loop
        self.path: Final = f"{DIRECTORY}/console.{_last[0]}"
        self.master: Final[Promise[int]] = Promise()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(self.path)
        self._socket.listen(1)
        self._connection: socket.socket | None = None
        loop.watch(self._socket.fileno(), READ, self._connected)

    def close(self) -> None:
        """Stop listening; again is fine."""
        for one in (self._socket, self._connection):
            if one is not None and one.fileno() >= 0:
                self._loop.forget(one.fileno())
                one.close()
        if os.path.exists(self.path):
            os.unlink(self.path)

    def _connected(self, _: int) -> None:
        connection = self._socket.accept()[0]
        if self._connection is not None:
            connection.close()
            return
        self._connection = connection
        self._loop.watch(connection.fileno(), READ, self._received)

    def _received(self, _: int) -> None:
        assert self._connection is not None
        descriptors = socket.recv_fds(self._connection, _NAME_BYTES, 1)[1]
        self._loop.forget(self._connection.fileno())
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
            if self.master.done:
                os.close(descriptor)
            self.master.keep(descriptor)


class Terminal:
    """A master of our own, and the slave held open."""

    def __init__(self, master: int, rows: int, *, columns: int) -> None:
        self._master = master
        self._slave = fcntl.ioctl(master, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        if rows and columns:
            self.resize(rows, columns)

    def resize(self, rows: int, columns: int) -> None:
        """Set the window size; the foreground processes get SIGWINCH."""
        try:
            size = struct.pack("HHHH", rows, columns, 0, 0)
        except struct.error as error:
            raise InvalidRequest(f"no terminal size: {rows} x {columns}") from error
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)

    def close(self) -> None:
        """Let go of both ends."""
        os.close(self._master)
        os.close(self._slave)
