"""Records of files: what changes a digest, and what passes for damage."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from enclos.assets import contents


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/file").write_bytes(b"one")
    (tmp_path / "link").symlink_to("d/file")
    return tmp_path


def test_files_and_links_are_described(tree: Path) -> None:
    assert list(contents.describe(tree)) == ["d/file", "link"]


def test_time_does_not_change_the_digest(tree: Path) -> None:
    before = contents.digest(contents.describe(tree))
    os.utime(tree / "d/file", (0, 0))
    assert contents.digest(contents.describe(tree)) == before


@pytest.mark.parametrize("act", ["content", "mode", "link", "gone"])
def test_damage_changes_the_digest_and_is_noticed(tree: Path, act: str) -> None:
    before = contents.describe(tree)
    name = "link" if act == "link" else "d/file"
    damage(tree / name, act)
    assert contents.is_damaged(tree / name, before[name])
    assert contents.looks_damaged(tree / name, before[name])
    assert contents.digest(contents.describe(tree)) != contents.digest(before)


def test_what_was_not_touched_is_whole(tree: Path) -> None:
    for name, record in contents.describe(tree).items():
        assert not contents.is_damaged(tree / name, record)
        assert not contents.looks_damaged(tree / name, record)


def test_a_change_behind_an_old_time_is_found_by_reading(tree: Path) -> None:
    record = contents.describe(tree)["d/file"]
    (tree / "d/file").write_bytes(b"two")
    os.utime(tree / "d/file", ns=(record.mtime_ns, record.mtime_ns))
    assert not contents.looks_damaged(tree / "d/file", record)
    assert contents.is_damaged(tree / "d/file", record)


def damage(path: Path, act: str) -> None:
    match act:
        case "content":
            path.write_bytes(b"three")
        case "mode":
            path.chmod(0o600)
        case "link":
            path.unlink()
            path.symlink_to("elsewhere")
        case _:
            path.unlink()
