"""A true terminal: size, Ctrl-C, detaching, and the caller's terminal as it was before."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.cli import Programs

DETACH = b"\x10\x11"


class Terminal:
    """A pseudo-terminal with `enclos` on it."""

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

    def wait(self) -> int:
        """The exit status; the terminal must be as it was."""
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self.pid = 0
        return status


@contextmanager
def terminal(programs: Programs, *words: str) -> Iterator[Terminal]:
    """`enclos WORDS` on a terminal of 33 rows and 101 columns."""
    master, slave = os.openpty()
    before = termios.tcgetattr(slave)
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 101, 0, 0))
    pid = os.fork()
    if pid == 0:
        os.login_tty(slave)
        command = programs.command(*words)
        os.execve(command[0], command, programs.environment)
    screen = Terminal(master, slave, pid)
    try:
        yield screen
        assert termios.tcgetattr(slave) == before, "the terminal is not as it was"
    finally:
        if screen.pid:
            os.kill(screen.pid, signal.SIGKILL)
            os.waitpid(screen.pid, 0)
        os.close(master)
        os.close(slave)


def test_size_and_ctrl_c(programs: Programs) -> None:
    with terminal(programs, "run", "--rm", "-it", "enclos/demo", "sh") as screen:
        screen.expect(b"# ")
        screen.type(b"stty size; tty\n")
        screen.expect(b"33 101\r\n/dev/")
        screen.resize(40, 120)
        time.sleep(0.5)
        screen.type(b"stty size\n")
        screen.expect(b"40 120")
        screen.type(b"sleep 1000\n")
        screen.expect(b"sleep 1000\r\n")
        time.sleep(0.7)
        screen.type(b"\x03")
        screen.expect(b"# ")
        screen.type(b"exit 5\n")
        assert screen.wait() == 5


def test_detach_and_attach_again(programs: Programs) -> None:
    try:
        with terminal(programs, "run", "--name", "det", "-it", "enclos/demo", "sh") as screen:
            screen.expect(b"# ")
            screen.type(DETACH)
            assert screen.wait() == 0
        assert "Up" in programs.ok("ps")
        with terminal(programs, "attach", "det") as screen:
            screen.type(b"echo again$((1+1))\n")
            screen.expect(b"again2")
            screen.type(b"exit 3\n")
            assert screen.wait() == 3
        assert "again2" in programs.ok("logs", "det")
    finally:
        programs.ok("rm", "-f", "det")


def test_exec_on_a_terminal(programs: Programs) -> None:
    programs.ok("run", "-d", "--name", "host", "enclos/demo", "sleep", "1000")
    try:
        with terminal(programs, "exec", "-it", "host", "sh") as screen:
            screen.expect(b"# ")
            screen.type(b"stty size; exit 4\n")
            screen.expect(b"33 101")
            assert screen.wait() == 4
        with terminal(programs, "exec", "-it", "host", "sh") as screen:
            screen.expect(b"# ")
            screen.type(DETACH)
            assert screen.wait() == 0
        assert "Up" in programs.ok("ps")
    finally:
        programs.ok("rm", "-f", "host")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signals_leave_the_terminal_as_it_was(programs: Programs, number: int) -> None:
    with terminal(programs, "run", "--rm", "-it", "enclos/demo", "sh") as screen:
        screen.expect(b"# ")
        os.kill(screen.pid, number)
        time.sleep(1)
        os.kill(screen.pid, number)  # the second one kills, where a shell ignored the first
        assert screen.wait() in {129, 137, 143}


def test_a_terminal_wants_a_terminal(programs: Programs) -> None:
    answer = programs.enclos("run", "--rm", "-it", "enclos/demo", "true", stdin=b"")
    assert answer.code == 125
    assert "not a terminal" in answer.err
    answer = programs.enclos("run", "--rm", "-t", "enclos/demo", "tty")
    assert answer.code == 0
    assert answer.out.startswith("/dev/")
