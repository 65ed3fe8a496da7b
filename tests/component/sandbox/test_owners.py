"""Namespaces by path, compared with those of real processes that stand for containers."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from enclos.errors import InvalidRequest
from enclos.linux import namespaces, pid
from enclos.oci.linux import Namespace
from enclos.plan.joining import Owner
from enclos.sandbox import owners
from enclos.state import records, store
from enclos.state.records import ContainerRecord, SandboxRecord
from enclos.state.store import StateRoot


@pytest.fixture
def holder() -> Iterator[int]:
    """A process with an IPC namespace of its own, the rest being ours."""
    with subprocess.Popen(["unshare", "--ipc", "sleep", "1000"]) as process:
        while namespaces.identity("ipc", process.pid) == namespaces.identity("ipc"):
            os.sched_yield()
        yield process.pid
        process.kill()


@pytest.fixture
def root(tmp_path: Path, holder: int) -> StateRoot:
    """A sandbox with two containers that share the namespace, and a damaged record."""
    made = StateRoot(tmp_path)
    store.reserve_sandbox(made, "first")
    me = pid.this_process()
    records.save_sandbox(
        made, SandboxRecord("first", me.pid, me.start, records.now(), "tcg", "", 1, 0, "")
    )
    for name, second in (("first", 5), ("second", 1)):
        _container(made, name, holder, created=f"2024-01-01T00:00:0{second}.0Z")
    (store.reserve(made, "damaged") / "record.json").write_text("{")
    return made


def _container(root: StateRoot, name: str, number: int, *, created: str) -> None:
    store.reserve(root, name)
    start = pid.start_time(number)
    record = ContainerRecord(
        name, "first", "/b", "/r", created, pid=number, pid_start=start, status="running"
    )
    records.save_container(root, record)


def test_the_oldest_of_those_who_share_it(root: StateRoot, holder: int, tmp_path: Path) -> None:
    by_pid = Namespace("ipc", f"/proc/{holder}/ns/ipc")
    assert owners.find(root, [by_pid, Namespace("pid")]) == {"ipc": Owner("second", "first")}
    descriptor = os.open(by_pid.path, os.O_RDONLY)
    elsewhere = Namespace("ipc", f"/proc/{os.getpid()}/fd/{descriptor}")
    assert owners.find(root, [elsewhere]) == {"ipc": Owner("second", "first")}
    os.close(descriptor)


def test_the_callers_own_belongs_to_nobody_unless_it_is_named(root: StateRoot, holder: int) -> None:
    assert owners.find(root, [Namespace("uts", "/proc/self/ns/uts")]) == {}
    named = Namespace("uts", f"/proc/{holder}/ns/uts")
    assert owners.find(root, [named]) == {"uts": Owner("second", "first")}


def test_the_dead_own_nothing(root: StateRoot, holder: int) -> None:
    descriptor = os.open(f"/proc/{holder}/ns/ipc", os.O_RDONLY)
    os.kill(holder, 9)
    while pid.start_time(holder):
        os.sched_yield()
    path = f"/proc/{os.getpid()}/fd/{descriptor}"
    assert owners.find(root, [Namespace("ipc", path)]) == {}
    os.close(descriptor)


def test_a_path_that_is_not_there_is_refused(root: StateRoot) -> None:
    with pytest.raises(InvalidRequest, match="there is no /proc/0/ns/ipc") as raised:
        owners.find(root, [Namespace("ipc", "/proc/0/ns/ipc")])
    assert "No such file" not in str(raised.value), "engines would take it for a missing program"
