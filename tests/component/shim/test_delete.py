"""`delete` of a pod whose shim is gone, and what `start` answers: by what is written down alone."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from enclos.sandbox import reach
from enclos.shim import address, delete, parse, where
from enclos.shim.proto import task_pb2
from enclos.state import records, store
from enclos.state.records import ContainerRecord
from enclos.state.store import StateRoot
from tests.support import specs

FLAGS = ("-namespace", "ns", "-address", "/run/c.sock")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StateRoot:
    monkeypatch.setenv("ENCLOS_STATE_ROOT", os.fspath(tmp_path / "state"))
    return where.root(parse.parse((*FLAGS, "-id", "x", "delete")))


def _stopped(root: StateRoot, name: str, pod: str, bundle: Path, *, status: int) -> None:
    (bundle / "rootfs").mkdir(parents=True)
    store.reserve(root, name)
    record = ContainerRecord(
        id=name,
        sandbox_id=pod,
        bundle=os.fspath(bundle),
        rootfs=os.fspath(bundle / "rootfs"),
        status="stopped",
        exit_status=status,
        created=records.now(),
    )
    reach.keep_spec(root, name, json.dumps(specs.minimal()))
    records.save_container(root, record)


def _delete(name: str, bundle: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> int:
    words = (*FLAGS, "-id", name, "-bundle", os.fspath(bundle), "delete")
    assert delete.run(parse.parse(words)) == 0
    return task_pb2.DeleteResponse.FromString(capfdbinary.readouterr().out).exit_status


def test_members_that_containerd_will_not_delete_go_with_their_pod(
    root: StateRoot, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """It writes into the bundles of those which sandbox's shim serves them."""
    for name, pod in (("pod", "pod"), ("new", "pod"), ("old", "pod"), ("other", "else")):
        _stopped(root, name, pod, tmp_path / name, status=7)
    for name, pod in (("new", "pod"), ("other", "else")):
        (tmp_path / name / "sandbox").write_text(pod)
    assert _delete("pod", tmp_path / "pod", capfdbinary) == 7
    assert root.container_ids() == ["old", "other"]
    assert _delete("old", tmp_path / "old", capfdbinary) == 7
    assert root.container_ids() == ["other"]
    assert _delete("pod", tmp_path / "pod", capfdbinary) == 137


def test_the_answer_of_start(tmp_path: Path) -> None:
    """A bare address is for everybody; it stays in the bundle for later."""
    path = tmp_path / "s"
    assert address.publish(tmp_path, path) == f"unix://{path}"
    assert address.published(tmp_path) == path


def test_a_call_that_a_new_task_has_overtaken_leaves_that_alone(
    root: StateRoot,
    tmp_path: Path,
    capfdbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """containerd calls it in the bundle, which it removes at the same time after a Delete."""
    bundle = tmp_path / "task"
    bundle.mkdir()
    monkeypatch.chdir(bundle)
    bundle.rmdir()
    _stopped(root, "task", "task", bundle, status=7)
    assert _delete("task", bundle, capfdbinary) == 7
    assert root.container_ids() == ["task"]
    monkeypatch.chdir(bundle)
    assert _delete("task", bundle, capfdbinary) == 7
    assert root.container_ids() == []
