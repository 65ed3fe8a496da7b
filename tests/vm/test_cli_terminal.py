"""A true terminal: size, Ctrl-C, detaching, and the caller's terminal as it was before."""

from __future__ import annotations

import os
import signal
import time
from contextlib import AbstractContextManager

import pytest

from tests.support.cli import Programs
from tests.support.screen import Screen, look_round, shown, use_shell

DETACH = b"\x10\x11"


def terminal(programs: Programs, *words: str) -> AbstractContextManager[Screen]:
    """`enclos WORDS` on a terminal of 33 rows and 101 columns."""
    return shown(programs.command(*words), programs.environment)


def test_size_and_ctrl_c(programs: Programs) -> None:
    with terminal(programs, "run", "--rm", "-it", "enclos/demo", "sh") as screen:
        use_shell(screen)


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
            look_round(screen)
        with terminal(programs, "exec", "-it", "host", "sh") as screen:
            screen.expect(b"# ")
            screen.type(DETACH)
            assert screen.wait() == 0
        assert "Up" in programs.ok("ps")
    finally:
        programs.ok("rm", "-f", "host")


@pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, signal.SIGINT, pytest.param(signal.SIGHUP, marks=pytest.mark.nightly)],
)
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
