"""The caller's terminal: handed to the container's program, and given back whatever happens."""

from __future__ import annotations

import json
import os
import signal
import termios
import time
from pathlib import Path

import pytest

from enclos.state import records
from enclos.state.store import StateRoot
from tests.support.cli import Programs
from tests.support.screen import Screen, shown
from tests.vm.conftest import Keep

INTERRUPT, END, SUSPEND, LEAVE = b"\x03", b"\x04", b"\x1a", b"\x10\x11"


@pytest.fixture(scope="module")
def box(keep: Keep) -> str:
    """A container to run shells in."""
    return keep()


def raw(screen: Screen) -> bool:
    """Whether the terminal passes every key on."""
    return not screen.modes()[3] & (termios.ICANON | termios.ISIG | termios.ECHO)


@pytest.mark.parametrize("victim", ["supervisor", "stand-in"])
def test_the_terminal_is_given_back_when_the_sandbox_is_killed(
    programs: Programs, tmp_path: Path, victim: str
) -> None:
    file = tmp_path / "id"
    words = programs.command("run", "--rm", "-it", "--cidfile", file, "enclos/demo", "sh")
    with shown(words, programs.environment) as screen:
        screen.expect(b"# ")
        assert raw(screen)
        root, name = StateRoot(programs.state_root), file.read_text().strip()
        if victim == "supervisor":
            os.kill(records.load_sandbox(root, name).supervisor_pid, signal.SIGKILL)
        else:
            os.kill(records.load_container(root, name).pid, signal.SIGKILL)
        assert screen.wait() == 137


def test_keys_reach_the_program_as_they_are(programs: Programs, box: str) -> None:
    script = "stty raw -echo; echo ready; head -c 5 | od -An -tx1; stty sane"
    with shown(programs.command("exec", "-it", box, "sh", "-c", script),
               programs.environment) as screen:  # fmt: skip
        screen.expect(b"ready")
        screen.type(INTERRUPT + END + SUSPEND + b"\x00\xff")
        screen.expect(b"03 04 1a 00 ff")
        assert screen.wait() == 0


def test_the_end_key_ends_input(programs: Programs, box: str) -> None:
    with shown(programs.command("exec", "-it", box, "cat"), programs.environment) as screen:
        screen.type(b"line\r")
        screen.expect(b"line\r\nline\r\n")
        screen.type(END)
        assert screen.wait() == 0


def test_the_program_has_a_terminal_of_its_own(programs: Programs, box: str) -> None:
    """Job control works, and the size is there before the program looks."""
    with shown(programs.command("exec", "-it", box, "sh"), programs.environment) as screen:
        screen.expect(b"# ")
        screen.type(b"stty size; echo $TERM; sleep 1000\r")
        screen.expect(b"33 101\r\nxterm")
        time.sleep(0.5)
        screen.type(SUSPEND)
        screen.expect(b"Stopped")
        screen.type(b"fg\r")
        time.sleep(0.5)
        screen.type(INTERRUPT)
        screen.type(b"exit 6\r")
        assert screen.wait() == 6


def test_the_size_follows_at_once(programs: Programs, box: str) -> None:
    script = "trap 'stty size' WINCH; echo ready; while :; do sleep 0.1; done"
    with shown(programs.command("exec", "-it", box, "sh", "-c", script),
               programs.environment) as screen:  # fmt: skip
        screen.expect(b"ready")
        for rows, columns in ((50, 132), (10, 20), (24, 80)):
            screen.resize(rows, columns)
            screen.expect(f"{rows} {columns}\r\n".encode())
        screen.type(LEAVE)
        assert screen.wait() == 0
    programs.ok("exec", box, "sh", "-c", "kill -9 $(pgrep -f WINCH) || true")


def test_other_keys_to_leave_by(programs: Programs, box: str) -> None:
    words = programs.command("exec", "-it", "--detach-keys", "ctrl-x,q", box, "sh")
    with shown(words, programs.environment) as screen:
        screen.expect(b"# ")
        screen.type(b"echo \x18\x10\x11one\r")  # the first key alone is the program's
        screen.expect(b"one")
        screen.type(b"\x18q")
        assert screen.wait() == 0


def test_much_output_arrives_whole(programs: Programs, box: str) -> None:
    with shown(programs.command("exec", "-it", box, "seq", "1", "100000"),
               programs.environment) as screen:  # fmt: skip
        screen.expect(b"\r\n99999\r\n100000\r\n")
        assert screen.wait() == 0


def test_what_waits_to_be_read_does_not_hold_the_end_up(programs: Programs, box: str) -> None:
    """A user who pastes much into a program that does not read can still end it."""
    with shown(programs.command("exec", "-it", box, "sleep", "1000"),
               programs.environment) as screen:  # fmt: skip
        time.sleep(1.5)
        os.set_blocking(screen.master, False)
        for _ in range(100):
            try:
                os.write(screen.master, b"x" * 512 + b"\r")
            except BlockingIOError:
                break
            time.sleep(0.01)
        time.sleep(1)
        os.kill(screen.pid, signal.SIGTERM)
        assert screen.wait() == 143


def test_a_terminal_is_told_by_inspect(programs: Programs) -> None:
    made = programs.ok("create", "-it", "enclos/demo", "sh").strip()
    (found,) = json.loads(programs.ok("inspect", made))
    programs.ok("rm", made)
    assert found["Config"]["Tty"] is True
    assert found["Config"]["OpenStdin"] is True
