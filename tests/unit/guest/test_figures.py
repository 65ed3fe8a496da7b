"""What is read from /proc and a cgroup, on directories of our own and on this process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from enclos.guest import cgroups, crun, devices, memory, table


def test_a_file_of_a_cgroup_may_be_missing(tmp_path: Path) -> None:
    (tmp_path / "pids.current").write_text("3\n")
    assert cgroups.read(os.fspath(tmp_path), "pids.current") == "3\n"
    assert cgroups.read(os.fspath(tmp_path), "pids.peak") is None
    assert cgroups.read("/nonexistent", "pids.peak") is None


def test_counters_are_found_by_their_key(tmp_path: Path) -> None:
    (tmp_path / "memory.events").write_text("low 0\noom 2\noom_kill 5\noom_group_kill 1\n")
    assert cgroups.counter(os.fspath(tmp_path), "memory.events", "oom_kill") == 5
    assert cgroups.counter(os.fspath(tmp_path), "memory.events", "max") == 0
    assert cgroups.counter(os.fspath(tmp_path), "cgroup.events", "frozen") == 0


def test_processes_of_inner_cgroups_count(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "cgroup.procs").write_text("12\n13\n")
    (tmp_path / "inner/cgroup.procs").write_text("14\n")
    assert sorted(cgroups.pids(os.fspath(tmp_path))) == [12, 13, 14]
    assert not list(cgroups.pids("/nonexistent"))


def test_a_row_of_the_process_table_is_this_process() -> None:
    row = table.row(os.getpid())
    assert row is not None
    assert (row.pid, row.parent, row.uid) == (os.getpid(), os.getppid(), os.getuid())
    assert row.rss_bytes > 1 << 20
    assert "pytest" in row.command or "python" in row.command
    assert row.state == "R"
    assert row.start_ticks > 0


def test_a_process_that_is_gone_has_no_row() -> None:
    assert table.row(2**22 + 1) is None


@pytest.mark.parametrize(
    ("major", "minor", "name"),
    [(0, 0, "?"), (136, 5, "pts/5"), (137, 1, "pts/257"), (4, 1, "?"), (143, 255, "pts/2047")],
)
def test_terminals_have_names(major: int, minor: int, name: str) -> None:
    assert table.terminal(os.makedev(major, minor)) == name


def test_the_last_line_of_the_log_is_the_complaint(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"a warning\nsomething \xff failed\n\n")
    assert crun.complaint(os.fspath(log)) == "something \ufffd failed"
    assert not log.exists()
    assert crun.complaint(os.fspath(log)) == ""


def test_memory_is_read_as_bytes() -> None:
    assert devices.managed_bytes() == memory.figure("MemTotal")
    assert memory.figure("MemFree") % 1024 == 0
    assert memory.figure("Nothing") == 0
