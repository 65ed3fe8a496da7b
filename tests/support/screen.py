"""A pseudo-terminal with one of our programs on it, as a user's window would be."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

ROWS, COLUMNS = 33, 101


class Screen:
    """What is on the terminal, and the keyboard."""

    def __init__(self, master: int, slave: int, pid: int) -> None:
        self.master, self.slave, self.pid = master, slave, pid
        self.seen = b""

    def expect(self, text: bytes, *, timeout_s: float = 60) -> None:
        """Wait until `text` has been shown; forget all up to it."""
        deadline = time.monotonic() + timeout_s
        while text not in self.seen:
            left = deadline - time.monotonic()
            assert left > 0, f"{text!r} is not in {self.seen!r}"
            if select.select([self.master], [], [], left)[0]:
                self.seen += os.read(self.master, 65536)
        self.seen = self.seen.partition(text)[2]

    def type(self, text: bytes) -> None:
        """As typed."""
        os.write(self.master, text)

    def resize(self, rows: int, columns: int) -> None:
        """As by dragging a corner."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def modes(self) -> list[Any]:
        """The terminal's modes now."""
        return termios.tcgetattr(self.slave)

    def wait(self, *, timeout_s: float = 60) -> int:
        """The program's exit status."""
        deadline = time.monotonic() + timeout_s
        while True:
            found, status = os.waitpid(self.pid, os.WNOHANG)
            if found:
                self.pid = 0
                return os.waitstatus_to_exitcode(status)
            assert time.monotonic() < deadline, f"it does not end; on the screen: {self.seen!r}"
            time.sleep(0.01)


@contextmanager
def shown(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[Screen]:
    """Run `command` on a terminal, whose modes must be as before when the block ends."""
    master, slave = os.openpty()
    screen = Screen(master, slave, 0)
    screen.resize(ROWS, COLUMNS)
    before = screen.modes()
    screen.pid = os.fork()
    if screen.pid == 0:
        os.login_tty(slave)
        os.execve(command[0], list(command), dict(environment))
    try:
        yield screen
        assert screen.modes() == before, "the terminal is not as it was"
    finally:
        if screen.pid:
            os.kill(screen.pid, signal.SIGKILL)
            os.waitpid(screen.pid, 0)
        os.close(master)
        os.close(slave)


def use_shell(screen: Screen) -> None:
    """A shell in a container's terminal: its size, a new size, an interrupt, its status."""
    screen.expect(b"# ")
    screen.type(b"stty size\n")
    screen.expect(b"33 101")
    screen.resize(40, 120)
    time.sleep(1)
    screen.type(b"stty size\n")
    screen.expect(b"40 120")
    screen.type(b"sleep 1000\n")
    screen.expect(b"sleep 1000\r\n")
    time.sleep(1)
    screen.type(b"\x03")
    screen.expect(b"# ")
    screen.type(b"exit 5\n")
    assert screen.wait() == 5


def look_round(screen: Screen) -> None:
    """A shell that is executed in a container: its terminal is one there, of the right size."""
    screen.expect(b"# ")
    screen.type(b"stty size; tty\n")
    screen.expect(b"33 101\r\n/dev/")
    screen.type(b"exit 4\n")
    assert screen.wait() == 4
