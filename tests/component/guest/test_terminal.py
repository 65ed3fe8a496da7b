"""A terminal from its console socket to its streams, with crun's part played by the test."""

from __future__ import annotations

import os
import socket
import termios
import time
from pathlib import Path

import pytest

from enclos.errors import InvalidRequest
from enclos.guest import terminal
from enclos.guest.stdio import ProcessIo
from enclos.guest.tasks import start
from enclos.wire import frames
from enclos.wire.messages import Stdio
from tests.support.port import Port

STDIO = Stdio(stdin=3, stdout=4, terminal=True, rows=40, columns=100)


@pytest.fixture(autouse=True)
def _directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "DIRECTORY", os.fspath(tmp_path))


def connected(port: Port) -> tuple[ProcessIo, int]:
    """The streams of a process with a terminal, and the slave that the process would hold."""
    io = ProcessIo(port.streams, STDIO)
    assert io.arguments[0] == "--console-socket"
    master, slave = os.openpty()
    with socket.socket(socket.AF_UNIX) as crun:
        crun.connect(io.arguments[1])
        socket.send_fds(crun, [b"/dev/ptmx"], [master])
        os.close(master)
        done = start(io.connect())
        while not done.done:
            port.run()
    done.result()
    return io, slave


def output(port: Port, length: int) -> bytes:
    """The next `length` bytes; a terminal hands them on when the kernel finds the time."""
    found = b""
    limit = time.monotonic() + 10
    while len(found) < length:
        assert time.monotonic() < limit, found
        port.run()
        found += b"".join(f.payload for f in port.received() if f.kind == frames.DATA)
    return found


def test_bytes_flow_both_ways_and_the_size_is_set(port: Port) -> None:
    io, slave = connected(port)
    assert termios.tcgetwinsize(slave) == (40, 100)
    port.send(frames.DATA, 3, b"typed\n")
    assert os.read(slave, 100) == b"typed\n"
    os.write(slave, b"shown\n")
    assert output(port, 14) == b"typed\r\nshown\r\n"
    io.resize(50, 120)
    assert termios.tcgetwinsize(slave) == (50, 120)
    os.close(slave)
    io.finish()


def test_a_program_may_close_its_terminal_and_open_it_again(port: Port) -> None:
    io, slave = connected(port)
    name = os.ttyname(slave)
    os.close(slave)
    port.run(3)
    assert not port.received()
    again = os.open(name, os.O_RDWR | os.O_NOCTTY)
    os.write(again, b"back")
    assert output(port, 4) == b"back"
    os.close(again)
    io.died()
    port.run(3)
    kinds = [(frame.kind, frame.number) for frame in port.received()]
    assert kinds == [(frames.RESET, 3), (frames.END, 4)]
    assert io.drained.done


def test_the_end_of_input_leaves_a_terminal_open(port: Port) -> None:
    io, slave = connected(port)
    port.send(frames.END, 3)
    os.write(slave, b"still here")
    assert output(port, 10) == b"still here"
    os.close(slave)
    io.finish()


@pytest.mark.parametrize(("rows", "columns"), [(-1, 80), (24, 70_000)])
def test_an_impossible_size_is_refused(port: Port, rows: int, columns: int) -> None:
    io, slave = connected(port)
    with pytest.raises(InvalidRequest, match="no terminal size"):
        io.resize(rows, columns)
    os.close(slave)
    io.finish()


def test_the_socket_is_gone_when_crun_never_came(port: Port) -> None:
    io = ProcessIo(port.streams, STDIO)
    path = Path(io.arguments[1])
    assert path.is_socket()
    io.finish()
    assert not path.exists()
    assert 3 not in port.streams
    assert 4 not in port.streams
