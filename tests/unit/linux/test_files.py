"""Whole files, bounded reads, locks, sparse copies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclos.errors import InvalidRequest, TimedOut
from enclos.linux import files

PAGE = 4096


@pytest.fixture
def pair() -> Iterator[tuple[int, int]]:
    source, target = os.memfd_create("source"), os.memfd_create("target")
    yield source, target
    os.close(source)
    os.close(target)


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    files.write_atomic(path, b"old", mode=0o640)
    with path.open("rb") as reader:
        files.write_atomic(path, b"new", sync=True)
        assert reader.read() == b"old"
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["file"]


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken" / "full").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        files.write_atomic(tmp_path / "taken", b"data")
    assert os.listdir(tmp_path) == ["taken"]


def test_a_link_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "link").symlink_to("precious")
    files.write_atomic(tmp_path / "link", b"data")
    assert (tmp_path / "precious").read_text() == "kept"


def test_a_bounded_read_refuses_more(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert files.read_bounded(path, 5) == b"12345"
    with pytest.raises(InvalidRequest, match="larger than 4 bytes"):
        files.read_bounded(path, 4)


def test_a_fifo_is_refused_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(InvalidRequest, match="not a regular file"):
        files.read_bounded(tmp_path / "fifo", 10)


def test_a_lock_excludes_and_is_released(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with (
        files.locked(path, timeout_s=0),
        pytest.raises(TimedOut, match="holds the lock"),
        files.locked(path, timeout_s=0),
    ):
        pytest.fail("locked twice")
    with files.locked(path, timeout_s=0, shared=True), files.locked(path, timeout_s=0, shared=True):
        assert path.exists()


@given(st.lists(st.sampled_from([b"\0", b"x", b"y"]), max_size=40), st.integers(0, PAGE - 1))
def test_copies_are_equal_and_hold_no_zero_page(pages: list[bytes], tail: int) -> None:
    data = b"".join(page * PAGE for page in pages) + b"z" * tail
    source, plain, lean = (os.memfd_create(name) for name in ("source", "plain", "lean"))
    try:
        os.pwrite(source, data, 0)
        files.copy_sparse(source, plain)
        kept = files.copy_nonzero(source, lean)
        assert os.pread(plain, len(data) + 1, 0) == os.pread(lean, len(data) + 1, 0) == data
        assert kept == sum(PAGE for page in pages if page != b"\0") + tail
        assert os.fstat(lean).st_blocks * 512 <= kept + PAGE
        assert files.punch_zero_pages(plain) == kept
        assert os.pread(plain, len(data) + 1, 0) == data
    finally:
        for descriptor in (source, plain, lean):
            os.close(descriptor)


def test_holes_are_not_copied(pair: tuple[int, int]) -> None:
    source, target = pair
    os.ftruncate(source, 1 << 30)
    os.pwrite(source, b"data", 512 << 20)
    assert files.copy_sparse(source, target) == PAGE
    assert os.fstat(target).st_size == 1 << 30
    assert os.pread(target, 4, 512 << 20) == b"data"


def test_trees_go_links_stay(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("kept")
    tree = tmp_path / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "file").write_text("")
    (tree / "a" / "b" / "out").symlink_to(outside)
    assert files.remove_tree(tree)
    assert not files.remove_tree(tree)
    assert (outside / "precious").exists()


def test_a_link_in_place_of_a_tree_is_removed_itself(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert files.remove_tree(tmp_path / "link")
    assert (tmp_path / "real").is_dir()


def test_depth_does_not_matter(tmp_path: Path) -> None:
    top = os.open(tmp_path, os.O_RDONLY)
    here = top
    for _ in range(3000):
        os.mkdir("d", dir_fd=here)
        deeper = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    assert files.remove_tree(tmp_path / "d")
    assert not os.listdir(tmp_path)
