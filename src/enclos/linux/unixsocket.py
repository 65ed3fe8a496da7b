"""Unix sockets by directory and name: paths over 107 bytes do not fit an address.

The directory is opened and named by /proc/self/fd, so its own path may be of any length.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def listen(directory: Path, name: str, *, backlog: int) -> socket.socket:
    """A listening stream socket called `name` in `directory`; raises `OSError`."""
    listener = _stream()
    try:
        with _short(directory, name) as address:
            listener.bind(address)
        listener.listen(backlog)
    except OSError:
        listener.close()
        raise
    return listener


def connect(directory: Path, name: str) -> socket.socket:
    """A connection to the socket called `name` in `directory`; raises `OSError`."""
    connection = _stream()
    try:
        with _short(directory, name) as address:
            connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection


def sender(to: str | int) -> socket.socket:
    """A socket whose datagrams go to another; raises `OSError`.

    That is what an O_PATH descriptor stands for, or has a name in the network namespace.
    """
    connection = socket.socket(
        socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    )
    try:
        connection.connect(f"/proc/self/fd/{to}" if isinstance(to, int) else f"\0{to}")
    except OSError:
        connection.close()
        raise
    return connection


def _stream() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)


@contextmanager
def _short(directory: Path, name: str) -> Iterator[str]:
    """An address of the socket that fits."""
    handle = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{handle}/{name}"
    finally:
        os.close(handle)
