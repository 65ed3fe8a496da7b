"""Several commands at one container at the same time, and containers of `--rm` that come back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.cli import Programs


@pytest.fixture
def made(programs: Programs) -> Iterator[str]:
    """A container that was not started."""
    programs.ok("create", "--name", "made", "enclos/demo", "sleep", "1000")
    yield "made"
    programs.enclos("rm", "-f", "made")


def wait_gone(programs: Programs, name: str) -> None:
    deadline = time.monotonic() + 60
    while programs.ok("ps", "-aq", "--filter", f"name={name}"):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_it_is_started_once(programs: Programs, made: str) -> None:
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: programs.enclos("start", made), range(3)))
    assert [answer.code for answer in answers].count(0) >= 1
    for answer in answers:
        assert answer.code == 0 or "is running" in answer.err
    assert programs.ok("ps", "--format", "{{.Names}}") == "made\n"
    assert len(list((programs.state_root / "sandboxes").iterdir())) == 1


def test_a_name_is_given_once(programs: Programs) -> None:
    words = ("create", "--name", "wanted", "enclos/demo", "true")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: programs.enclos(*words), range(4)))
    assert sorted(answer.code for answer in answers) == [0, 125, 125, 125]
    programs.ok("rm", "wanted")


def test_rm_survives_a_restart_and_removes_afterwards(programs: Programs) -> None:
    programs.ok("run", "-d", "--rm", "--name", "again", "enclos/demo", "sleep", "1000")
    programs.ok("restart", "-t", "0", "again")
    time.sleep(1)
    assert programs.ok("ps", "--format", "{{.Names}}") == "again\n"
    programs.ok("stop", "-t", "0", "again")
    wait_gone(programs, "again")


def test_a_foreground_run_that_is_removed_by_another(programs: Programs) -> None:
    child = programs.start("run", "--name", "taken", "enclos/demo", "sleep", "1000")
    deadline = time.monotonic() + 60
    while programs.ok("ps", "--format", "{{.Names}}") != "taken\n":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    programs.ok("rm", "-f", "taken")
    child.communicate(timeout=60)
    assert child.returncode == 137


def test_sweep_finishes_an_interrupted_removal(programs: Programs) -> None:
    """Whoever was to remove a container of --rm was killed; the container has ended."""
    child = programs.start("run", "--rm", "--name", "orphan", "enclos/demo", "sleep", "3")
    deadline = time.monotonic() + 60
    while programs.ok("ps", "--format", "{{.Names}}") != "orphan\n":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    child.kill()
    child.communicate(timeout=20)
    while programs.ok("ps", "-q"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert "orphan" in programs.ok("sweep")
    assert programs.ok("ps", "-aq", "--filter", "name=orphan") == ""
