"""The socket of a shim: taken by one process at a time, found by everybody who knows its name."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from enclos.linux import files
from enclos.shim import where

SCHEME: Final = "unix://"
SANDBOX_FILE: Final = "shim"
"""In a sandbox's directory: the path of its shim's socket, for who joins by namespace."""
_BACKLOG: Final = 256
_TIMEOUT_S: Final = 5


def claim(path: Path) -> socket.socket | None:
    """A listening socket at `path`; None if somebody listens there already.

    A file that a dead process has left is taken away. Raises `OSError`.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(path.parent):
        if answers(path):
            return None
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        before = os.umask(0o177)
        try:
            listener.bind(os.fspath(path))
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
        finally:
            os.umask(before)
    return listener


def withdraw(path: Path, listener: socket.socket | None = None) -> None:
    """Take the name away: of our own listener, or of one that nobody serves any more."""
    with _alone(path.parent):
        if listener is not None or not answers(path):
            path.unlink(missing_ok=True)


def answers(path: Path) -> bool:
    """Whether somebody listens at `path`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
        probe.settimeout(_TIMEOUT_S)
        try:
            probe.connect(os.fspath(path))
        except TimeoutError:
            return True  # its queue is full: it is there, and busy
        except OSError:
            return False
    return True


def publish(bundle: Path, path: Path) -> str:
    """Write the address into the bundle; what `start` prints.

    Every containerd takes a bare address, and has `start` called for each container of a pod. With
    version 3 of the answer containerd 2 would do without; but then, when the shim dies, it never
    tells that a pod's containers have ended (seen with 2.1), and 1.7 refuses it.
    """
    url = f"{SCHEME}{path}"
    files.write_atomic(bundle / where.ADDRESS, url.encode(), mode=0o600)
    return url


def published(bundle: Path) -> Path | None:
    """The socket that the bundle names; None if it names none."""
    try:
        url = files.read_bounded(bundle / where.ADDRESS, 1024).decode("utf-8", "replace").strip()
    except OSError:
        return None
    return Path(url.removeprefix(SCHEME)) if url.startswith(SCHEME) else None


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Only one process at a time takes and gives names."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
