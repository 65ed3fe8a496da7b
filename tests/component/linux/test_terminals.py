"""Pseudo-terminals of the real kernel."""

from __future__ import annotations

import os
import signal
import termios
from collections.abc import Iterator

import pytest

from enclos.linux import terminal
from enclos.linux.terminal import Pair


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = terminal.open_pair()
    yield made
    os.close(made.master)
    os.close(made.slave)


def test_a_pair_is_connected_and_private(pair: Pair) -> None:
    assert os.ttyname(pair.slave) == pair.name
    assert terminal.is_terminal(pair.slave)
    assert not os.get_inheritable(pair.master)
    os.write(pair.slave, b"x\n")
    assert os.read(pair.master, 10) == b"x\r\n"


def test_the_size_is_seen_at_the_other_end(pair: Pair) -> None:
    assert terminal.window_size(pair.slave) == (0, 0)
    terminal.set_window_size(pair.master, rows=24, columns=80)
    assert terminal.window_size(pair.slave) == (24, 80)
    terminal.set_window_size(pair.master, rows=-5, columns=1 << 20)
    assert terminal.window_size(pair.slave) == (0, 0xFFFF)


def test_raw_passes_every_byte_and_is_undone(pair: Pair) -> None:
    before = termios.tcgetattr(pair.slave)
    with terminal.raw(pair.slave):
        data = bytes(range(256))
        os.write(pair.slave, data)
        assert os.read(pair.master, 1000) == data
        os.write(pair.master, data)
        assert os.read(pair.slave, 1000) == data
    assert termios.tcgetattr(pair.slave) == before


def test_raw_is_undone_whatever_happens(pair: Pair) -> None:
    before = termios.tcgetattr(pair.slave)
    with pytest.raises(KeyboardInterrupt), terminal.raw(pair.slave):
        raise KeyboardInterrupt
    assert termios.tcgetattr(pair.slave) == before


def test_a_terminal_that_hung_up_is_left_alone() -> None:
    made = terminal.open_pair()
    before = termios.tcgetattr(made.slave)
    os.close(made.master)
    terminal.restore(made.slave, before)
    os.close(made.slave)
    terminal.restore(made.slave, before)


def test_what_is_no_terminal_is_an_oserror() -> None:
    reader, writer = os.pipe()
    with pytest.raises(OSError, match="Inappropriate ioctl"):
        terminal.window_size(reader)
    with pytest.raises(termios.error), terminal.raw(reader):
        pytest.fail("a pipe was made raw")
    os.close(reader)
    os.close(writer)


def test_a_controlling_terminal_sends_its_signals(pair: Pair) -> None:
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGWINCH, lambda *_: os._exit(7))
        os.setsid()
        terminal.make_controlling(pair.slave)
        os.write(pair.slave, b"ready")
        signal.pause()
        os._exit(1)
    assert os.read(pair.master, 10) == b"ready"
    terminal.set_window_size(pair.master, rows=1, columns=2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
