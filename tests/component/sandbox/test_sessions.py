"""What a killed test session left running is ended by the next one, and nothing else is."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from enclos.linux import pid
from enclos.state import ledger, records
from enclos.state.store import StateRoot
from tests.support import sessions

DEAD = "1-1-0"
"""The first process has another start time."""


@pytest.fixture
def supervisor() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is noted as one."""
    with subprocess.Popen(["sleep", "1000"]) as child:
        yield child
        child.kill()


@pytest.fixture
def root(tmp_path: Path, supervisor: subprocess.Popen[bytes]) -> StateRoot:
    """A shim's state root below that of a session, with a sandbox of the supervisor's."""
    made = StateRoot(tmp_path / "state/shim/ns")
    made.sandbox("box").mkdir(parents=True)
    start = pid.start_time(supervisor.pid)
    record = records.SandboxRecord("box", supervisor.pid, start, records.now(), "tcg", "", 1, 1, "")
    records.save_sandbox(made, record)
    return made


def test_a_dead_sessions_sandboxes_end(
    tmp_path: Path, root: StateRoot, supervisor: subprocess.Popen[bytes]
) -> None:
    with subprocess.Popen(["sleep", "1000"]) as helper:
        held = ledger.of_sandbox(root.sandbox("box"))
        held.record("process", name="qemu", pid=helper.pid, start=pid.start_time(helper.pid))
        place = tmp_path / "sessions"
        place.mkdir()
        (place / DEAD).write_text(os.fspath(tmp_path / "state"))
        (line,) = sessions.end_dead(place=place)
        assert "ended the sandbox box" in line
        assert (supervisor.wait(10), helper.wait(10)) == (-9, -9)
    assert not root.sandbox_ids()
    assert not list(place.iterdir())


def test_a_living_sessions_sandboxes_stay(
    tmp_path: Path, root: StateRoot, supervisor: subprocess.Popen[bytes]
) -> None:
    place = tmp_path / "sessions"
    with sessions.using(tmp_path / "state", place=place):
        assert not sessions.end_dead(place=place)
        assert supervisor.poll() is None
        assert root.sandbox_ids() == ["box"]
    assert not place.exists()


def test_a_number_that_is_anothers_by_now_is_left_alone(
    tmp_path: Path, root: StateRoot, supervisor: subprocess.Popen[bytes]
) -> None:
    record = records.load_sandbox(root, "box")
    stale = records.SandboxRecord("box", record.supervisor_pid, 1, "", "tcg", "", 1, 1, "")
    records.save_sandbox(root, stale)
    place = tmp_path / "sessions"
    place.mkdir()
    (place / DEAD).write_text(os.fspath(tmp_path / "state"))
    sessions.end_dead(place=place)
    assert supervisor.poll() is None
