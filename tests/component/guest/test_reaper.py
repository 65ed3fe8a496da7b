"""Ends of real processes reach who waits for them, whenever that is."""

from __future__ import annotations

import os
import signal
import time

import pytest

from enclos.guest.reaper import Reaper
from tests.support.port import Port


def spawn(*command: str) -> int:
    return os.posix_spawn("/bin/sh", ["sh", "-c", *command], {"PATH": "/usr/bin:/bin"})


def test_a_status_is_told(port: Port, reaper: Reaper) -> None:
    ends = [reaper.ended(spawn(f"exit {status}")) for status in (0, 7, 255)]
    while not all(end.done for end in ends):
        port.loop.step()
    assert [end.result() for end in ends] == [0, 7, 255]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGABRT])
def test_a_signal_counts_as_a_shell_counts_it(port: Port, reaper: Reaper, number: int) -> None:
    end = reaper.ended(spawn(f"ulimit -c 0; kill -{number} $$"))
    while not end.done:
        port.loop.step()
    assert end.result() == 128 + number


def test_an_end_before_the_pid_is_known_is_kept(port: Port, reaper: Reaper) -> None:
    """crun tells a pid when that process may have ended long ago."""
    reaper.birth()
    marker = reaper.ended(spawn("true"))
    stranger = spawn("exit 9")
    while not marker.done:
        port.loop.step()
    limit = time.monotonic() + 10
    while os.path.exists(f"/proc/{stranger}") and time.monotonic() < limit:
        reaper.collect()
    assert reaper.ended(stranger).result() == 9
    reaper.born()


def test_strangers_are_forgotten_when_nothing_is_being_born(port: Port, reaper: Reaper) -> None:
    stranger = spawn("exit 9")
    limit = time.monotonic() + 10
    while os.path.exists(f"/proc/{stranger}") and time.monotonic() < limit:
        reaper.collect()
    assert not reaper.ended(stranger).done
