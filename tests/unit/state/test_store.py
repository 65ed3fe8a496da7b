"""Reserving, removing, and what stands in the way."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from enclos.errors import Exists, HostUnfit, InvalidRequest, Unclean
from enclos.linux import pid
from enclos.state import store
from enclos.state.store import StateRoot


@pytest.fixture
def root(tmp_path: Path) -> StateRoot:
    return StateRoot(tmp_path / "root")


def test_nothing_is_made_before_something_is_reserved(root: StateRoot) -> None:
    assert root.container_ids() == root.sandbox_ids() == []
    assert not root.path.exists()


def test_an_id_is_taken_once(root: StateRoot) -> None:
    directory = store.reserve(root, "c1")
    assert directory.stat().st_mode & 0o777 == 0o700
    with pytest.raises(Exists, match="container with given ID already exists"):
        store.reserve(root, "c1")
    assert root.container_ids() == ["c1"]
    assert store.creator(directory) == pid.this_process()


def test_containers_and_sandboxes_do_not_collide(root: StateRoot) -> None:
    store.reserve(root, "same")
    store.reserve_sandbox(root, "same")
    with pytest.raises(Exists):
        store.reserve_sandbox(root, "same")
    assert root.sandbox_ids() == ["same"]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "x" * 300, "a b"])
def test_an_id_that_is_a_path_is_refused(root: StateRoot, name: str) -> None:
    with pytest.raises(InvalidRequest):
        store.reserve(root, name)
    assert not root.path.exists()


def test_a_file_in_place_of_the_root_is_named(tmp_path: Path) -> None:
    (tmp_path / "root").write_text("")
    with pytest.raises(HostUnfit, match="root"):
        store.reserve(StateRoot(tmp_path / "root"), "c1")


def test_removing_frees_the_id(root: StateRoot) -> None:
    directory = store.reserve(root, "c1")
    store.make_directory(directory / "execs")
    store.write_file(directory / "execs" / "x", b"")
    store.remove(directory)
    store.remove(directory)
    assert root.container_ids() == []
    assert store.reserve(root, "c1") == directory


def test_an_interrupted_removal_is_finished_later(root: StateRoot) -> None:
    directory = store.reserve(root, "c1")
    condemned = directory.with_name(".c1.0000.gone")
    directory.rename(condemned)
    assert root.container_ids() == []
    assert store.purge_condemned(root) == [condemned]
    assert os.listdir(root.path / "containers") == []


@pytest.mark.parametrize("text", ["", "12", "x y", "1 2 3"])
def test_a_damaged_note_of_the_creator_is_no_creator(root: StateRoot, text: str) -> None:
    directory = store.reserve(root, "c1")
    (directory / "creator").write_text(text)
    found = store.creator(directory)
    assert found is None or not found.alive()


def test_a_directory_in_place_of_a_state_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unclean, match=str(tmp_path)):
        store.read_file(tmp_path)
