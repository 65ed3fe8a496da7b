"""Terminals: pseudo-terminal pairs, raw mode and its undoing, window sizes."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import struct
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from enclos.structs import dataclass

_WINDOW: Final = "HHHH"  # struct winsize: rows, columns, two unused
_LIMIT: Final = 0xFFFF


@dataclass(frozen=True, slots=True)
class Pair:
    """Both ends of a pseudo-terminal and the path of the slave; the owner closes both."""

    master: int
    slave: int
    name: str


def open_pair() -> Pair:
    """A new pseudo-terminal, close-on-exec and not our controlling one; raises `OSError`."""
    master, slave = os.openpty()
    return Pair(master, slave, os.ttyname(slave))


def is_terminal(descriptor: int) -> bool:
    """Whether the descriptor is open on a terminal."""
    return os.isatty(descriptor)


def window_size(descriptor: int) -> tuple[int, int]:
    """Rows and columns, 0 and 0 if nobody has set them; raises `OSError` (`ENOTTY`)."""
    packed = fcntl.ioctl(descriptor, termios.TIOCGWINSZ, bytes(struct.calcsize(_WINDOW)))
    rows, columns, _, _ = struct.unpack(_WINDOW, packed)
    return rows, columns


def set_window_size(descriptor: int, *, rows: int, columns: int) -> None:
    """Set the window's size; the kernel sends SIGWINCH to the foreground processes."""
    words = (min(max(rows, 0), _LIMIT), min(max(columns, 0), _LIMIT), 0, 0)
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack(_WINDOW, *words))


def set_raw(descriptor: int) -> None:
    """No echo, no lines, no signals, no translation of output: cfmakeraw(3)."""
    mode: list[Any] = termios.tcgetattr(descriptor)
    mode[0] &= ~(
        termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP
        | termios.INLCR | termios.IGNCR | termios.ICRNL | termios.IXON
    )  # fmt: skip
    mode[1] &= ~termios.OPOST
    mode[2] = mode[2] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
    mode[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
    mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
    _apply(descriptor, termios.TCSANOW, mode)


@contextmanager
def raw(descriptor: int) -> Iterator[None]:
    """Raw while the context lasts, then as before, whatever happens inside."""
    before = termios.tcgetattr(descriptor)
    try:
        set_raw(descriptor)
        yield
    finally:
        restore(descriptor, before)


def restore(descriptor: int, mode: list[Any]) -> None:
    """Put a mode from `termios.tcgetattr` back; a terminal that has hung up is left alone.

    Output that is still being written is awaited. Works from the background as well, where
    the kernel would stop us with SIGTTOU.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
    try:
        _apply(descriptor, termios.TCSADRAIN, mode)
    except OSError as error:
        if error.errno not in {errno.EIO, errno.EBADF, errno.ENOTTY, errno.ENXIO}:
            raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _apply(descriptor: int, when: int, mode: list[Any]) -> None:
    try:
        termios.tcsetattr(descriptor, when, mode)
    except termios.error as error:  # which is not an `OSError`
        raise OSError(*error.args) from error


def make_controlling(slave: int) -> None:
    """Make `slave` the controlling terminal of this session, whose leader is the caller."""
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
