"""Records: written, read back, believed as far as the kernel agrees."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest

from enclos.errors import InvalidRequest, NotFound, Unclean
from enclos.linux import pid
from enclos.linux.pid import ProcessRef
from enclos.state import fast, records, store
from enclos.state.records import ContainerRecord, ExecRecord, SandboxRecord
from enclos.state.store import StateRoot

ME = pid.this_process()
DEAD = ProcessRef(ME.pid, ME.start + 1)


@pytest.fixture
def root(tmp_path: Path) -> StateRoot:
    return StateRoot(tmp_path)


def container(process: ProcessRef = ME, **changes: object) -> ContainerRecord:
    record = ContainerRecord(
        id="c1",
        sandbox_id="s1",
        bundle="/b",
        rootfs="/b/rootfs",
        created=records.now(),
        pid=process.pid,
        pid_start=process.start,
        status="running",
        annotations={"key": 'quoted "value" \N{SNOWMAN}'},
    )
    return dataclasses.replace(record, **changes)  # type: ignore[arg-type]


def sandbox(supervisor: ProcessRef = ME) -> SandboxRecord:
    return SandboxRecord(
        id="s1",
        supervisor_pid=supervisor.pid,
        supervisor_start=supervisor.start,
        created=records.now(),
        accelerator="tcg",
        template="",
        vcpus=1,
        memory_bytes=1 << 28,
        kernel="6.12",
        containers=("c1",),
    )


def keep(root: StateRoot, record: ContainerRecord, owner: SandboxRecord | None) -> None:
    if owner is not None:
        store.reserve_sandbox(root, owner.id)
        records.save_sandbox(root, owner)
    store.reserve(root, record.id)
    records.save_container(root, record)


def test_a_moment_is_written_with_nanoseconds() -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", records.now())


def test_records_come_back_as_they_were(root: StateRoot) -> None:
    record, owner = container(exit_status=3), sandbox()
    keep(root, record, owner)
    assert records.load_container(root, "c1") == record
    assert records.load_sandbox(root, "s1") == owner
    assert records.all_containers(root) == [record]
    assert records.decode_container(records.encode_container(record)) == record


def test_unknown_ones_are_not_found_in_the_words_engines_know(root: StateRoot) -> None:
    with pytest.raises(NotFound, match="container does not exist"):
        records.load_container(root, "none")
    with pytest.raises(NotFound):
        records.load_sandbox(root, "none")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"id": "c1"}', '{"id": 3}', "\xff", '{"foreign": true}']
)
def test_a_damaged_record_is_named(root: StateRoot, text: str) -> None:
    keep(root, container(), None)
    path = root.container("c1") / "record.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(Unclean, match=re.escape(str(path))) as caught:
        records.load_container(root, "c1")
    assert "--force" in caught.value.hint


def test_an_id_without_a_record_is_abandoned_once_its_creator_is_dead(root: StateRoot) -> None:
    directory = store.reserve(root, "c1")
    assert not records.is_abandoned(root, "c1")
    assert records.all_containers(root) == []
    store.write_file(directory / "creator", f"{DEAD.pid} {DEAD.start}".encode())
    assert records.is_abandoned(root, "c1")
    records.save_container(root, container())
    assert not records.is_abandoned(root, "c1")
    assert not records.is_abandoned(root, "none")


@pytest.mark.parametrize(
    ("status", "process", "owner", "expected"),
    [
        ("running", ME, ME, "running"),
        ("paused", ME, ME, "paused"),
        ("running", DEAD, ME, "stopped"),
        ("running", ME, DEAD, "stopped"),
        ("created", ME, None, "stopped"),
        ("created", ProcessRef(0, 0), ME, "created"),
        ("stopped", ME, ME, "stopped"),
        ("creating", ProcessRef(0, 0), None, "creating"),
    ],
)
def test_fast_and_slow_agree_on_what_is_true(
    root: StateRoot, status: str, process: ProcessRef, owner: ProcessRef | None, expected: str
) -> None:
    record = container(process, status=status)
    keep(root, record, sandbox(owner) if owner else None)
    assert records.current_status(record, owner) == expected
    state = json.loads(fast.render(str(root.path), "c1"))
    assert state == records.oci_state(record, status=expected)
    assert state["pid"] == (0 if expected == "stopped" else process.pid)


def test_the_fast_answer_follows_the_record(root: StateRoot) -> None:
    keep(root, container(), sandbox())
    records.save_container(root, container(status="stopped", exit_status=0))
    state = json.loads(fast.render(str(root.path), "c1"))
    assert state["status"] == "stopped"
    assert state["annotations"] == {"key": 'quoted "value" \N{SNOWMAN}'}


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\0b", "a b"])
def test_the_fast_answer_refuses_paths(root: StateRoot, name: str) -> None:
    with pytest.raises(InvalidRequest):
        fast.render(str(root.path), name)


def test_the_fast_answer_knows_unknown_and_damaged(root: StateRoot) -> None:
    with pytest.raises(NotFound, match="container does not exist"):
        fast.render(str(root.path), "c1")
    keep(root, container(), sandbox())
    store.write_file(root.container("c1") / fast.STATE_FILE, b"nonsense")
    with pytest.raises(Unclean, match=fast.STATE_FILE):
        fast.render(str(root.path), "c1")


def test_exec_records_take_any_id(root: StateRoot) -> None:
    keep(root, container(), None)
    record = ExecRecord("../odd id/\N{SNOWMAN}", ME.pid, ME.start)
    records.save_exec(root, "c1", record)
    assert records.all_execs(root, "c1") == [record]
    records.remove_exec(root, "c1", record.exec_id)
    records.remove_exec(root, "c1", record.exec_id)
    assert records.all_execs(root, "c1") == []


def test_long_exec_ids_of_the_same_beginning_have_records_of_their_own(root: StateRoot) -> None:
    both = [records.ExecRecord("e" * 200 + end, pid=1, pid_start=2) for end in "ab"]
    for record in both:
        records.save_exec(root, "c1", record)
    found = records.all_execs(root, "c1")
    assert sorted(record.exec_id for record in found) == [record.exec_id for record in both]
    records.remove_exec(root, "c1", both[0].exec_id)
    assert records.all_execs(root, "c1") == both[1:]


def test_removed_is_gone(root: StateRoot) -> None:
    keep(root, container(), sandbox())
    records.remove_container(root, "c1")
    records.remove_container(root, "c1")
    records.remove_sandbox(root, "s1")
    assert root.container_ids() == root.sandbox_ids() == []
