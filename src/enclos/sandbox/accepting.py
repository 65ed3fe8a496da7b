"""Connections to a listening socket, one by one, in a process that may be out of descriptors.

The kernel goes on to report a socket as readable whose callers cannot be accepted for want of
descriptors. It is left alone for a moment then; who calls waits in the kernel's queue.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Final

from enclos import log

REST_S: Final = 0.5
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


def accept(door: socket.socket, welcome: Callable[[socket.socket], None]) -> None:
    """Have `welcome` called with every caller, until `door`'s reader is removed and it is closed.

    `door` does not block.
    """
    asyncio.get_running_loop().add_reader(door.fileno(), _knock, door, welcome)


def _knock(door: socket.socket, welcome: Callable[[socket.socket], None]) -> None:
    try:
        caller, _ = door.accept()
    except OSError as error:
        if error.errno in _EXHAUSTED:
            _rest(door, welcome, error)
        return  # else it went away before it was let in
    welcome(caller)


def _rest(door: socket.socket, welcome: Callable[[socket.socket], None], error: OSError) -> None:
    loop = asyncio.get_running_loop()
    loop.remove_reader(door.fileno())
    log.warning("callers have to wait", error=error.strerror)

    def again() -> None:
        if door.fileno() >= 0:  # it was not closed meanwhile
            accept(door, welcome)

    loop.call_later(REST_S, again)
