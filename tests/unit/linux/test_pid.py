"""Processes by pid and start time."""

from __future__ import annotations

import os

import pytest

from enclos.linux import pid
from enclos.linux.pid import ProcessRef


def test_this_process_is_alive() -> None:
    assert pid.this_process().alive()
    assert pid.parent(os.getpid()) == os.getppid()


def test_another_start_time_is_another_process() -> None:
    me = pid.this_process()
    assert not ProcessRef(me.pid, me.start + 1).alive()


@pytest.mark.parametrize("number", [0, -1, 1 << 22])
def test_a_pid_that_nobody_has_is_not_alive(number: int) -> None:
    assert not ProcessRef(number, 0).alive()
    assert pid.start_time(number) == 0
    assert pid.parent(number) == 0


def test_nobody_cannot_be_referred_to() -> None:
    with pytest.raises(ProcessLookupError, match="no running process"):
        pid.ref(1 << 22)
