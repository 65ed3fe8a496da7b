"""Standard streams of real processes, without crun."""

from __future__ import annotations

import os
import random

import pytest

from enclos.errors import InvalidRequest
from enclos.guest.reaper import Reaper
from enclos.guest.stdio import ProcessIo
from enclos.guest.tasks import Promise, start
from enclos.wire import frames
from enclos.wire.messages import STREAM_WINDOW, Stdio
from tests.support.port import Port


def run(port: Port, reaper: Reaper, script: str, stdio: Stdio) -> tuple[ProcessIo, Promise[int]]:
    """Start a shell with these streams, as crun would."""
    io = ProcessIo(port.streams, stdio)
    moves = [(os.POSIX_SPAWN_DUP2, ours, number) for number, ours in enumerate(io.descriptors)]
    environment = {"PATH": "/usr/bin:/bin"}
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", script], environment, file_actions=moves)
    start(io.connect()).result()
    return io, reaper.ended(pid)


def collect(port: Port, until: Promise[None]) -> dict[int, bytes]:
    """Output by stream number; credit is given back for all that comes."""
    found: dict[int, bytes] = {}
    ended = False
    while not ended:
        ended = until.done
        port.run()
        for frame in port.received():
            if frame.kind == frames.DATA:
                found[frame.number] = found.get(frame.number, b"") + frame.payload
                extra = len(frame.payload).to_bytes(4, "little")
                port.host.send(frames.encode(frames.CREDIT, frame.number, extra))
    return found


def test_output_and_errors_are_apart(port: Port, reaper: Reaper) -> None:
    io, end = run(port, reaper, "echo out; echo err >&2; exit 4", Stdio(0, 5, 6))
    assert collect(port, io.drained) == {5: b"out\n", 6: b"err\n"}
    while not end.done:
        port.loop.step()
    assert end.result() == 4


def test_one_stream_for_both(port: Port, reaper: Reaper) -> None:
    io, _ = run(port, reaper, "echo out; echo err >&2", Stdio(0, 5, 5))
    assert collect(port, io.drained) == {5: b"out\nerr\n"}


def test_nobody_listens(port: Port, reaper: Reaper) -> None:
    io, end = run(port, reaper, "cat; echo out; echo err >&2; exit 3", Stdio())
    assert io.drained.done
    while not end.done:
        port.loop.step()
    assert end.result() == 3


def test_bytes_come_back_exactly(port: Port, reaper: Reaper) -> None:
    data = random.Random(1).randbytes(3 * STREAM_WINDOW)
    io, _ = run(port, reaper, "exec cat", Stdio(4, 5, 0))
    found, sent, credit, ended = b"", 0, STREAM_WINDOW, False
    while not ended:
        ended = io.drained.done
        if sent < len(data) and credit:
            piece = data[sent : sent + min(credit, 30_000)]
            port.host.setblocking(True)
            port.host.sendall(frames.encode(frames.DATA, 4, piece))
            port.host.setblocking(False)
            sent, credit = sent + len(piece), credit - len(piece)
            if sent == len(data):
                port.host.sendall(frames.encode(frames.END, 4))
        port.run()
        for frame in port.received():
            if frame.kind == frames.DATA:
                found += frame.payload
                extra = len(frame.payload).to_bytes(4, "little")
                port.host.sendall(frames.encode(frames.CREDIT, 5, extra))
            elif frame.kind == frames.CREDIT:
                credit += int.from_bytes(frame.payload, "little")
    assert found == data


def test_the_dead_read_no_more(port: Port, reaper: Reaper) -> None:
    io, end = run(port, reaper, "exec 0<&-; exit 0", Stdio(4, 0, 0))
    while not end.done:
        port.loop.step()
    io.died()
    port.run()
    assert [(frame.kind, frame.number) for frame in port.received()] == [(frames.RESET, 4)]


@pytest.mark.parametrize(
    "stdio", [Stdio(4, 4, 0), Stdio(-1, 0, 0), Stdio(0, 2**32, 0), Stdio(0, 7, 0)]
)
def test_numbers_in_use_or_out_of_range_are_refused(port: Port, stdio: Stdio) -> None:
    taken = ProcessIo(port.streams, Stdio(0, 7, 0))
    with pytest.raises(InvalidRequest, match="stream number"):
        ProcessIo(port.streams, stdio)
    taken.finish()
