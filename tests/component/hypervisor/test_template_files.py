"""Templates on disk: committed whole or not at all, read-only, and never believed blindly."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from enclos.hypervisor.qemu import template

PAGE = 4096
KEY = "0123456789abcdef"


def commit(root: Path, key: str = KEY) -> template.Template:
    """A template whose RAM has one page that is not zero."""
    ram = os.memfd_create("ram")
    os.ftruncate(ram, 64 * PAGE)
    os.pwrite(ram, b"x" * PAGE, 7 * PAGE)
    os.pwrite(ram, b"\0" * PAGE, 9 * PAGE)
    with template.building(root, key) as work:
        (work / "state").write_bytes(b"state")
        made = template.commit(work, root, key, ram=ram)
    os.close(ram)
    return made


def test_a_committed_template_is_found_sparse_and_read_only(tmp_path: Path) -> None:
    made = commit(tmp_path)
    assert made == template.find(tmp_path, KEY)
    assert made.touched_bytes == PAGE
    assert made.ram.stat().st_size == 64 * PAGE
    assert made.ram.stat().st_blocks * 512 <= 2 * PAGE
    assert made.ram.stat().st_mode & 0o777 == 0o400
    with made.ram.open("rb") as file:
        file.seek(7 * PAGE)
        assert file.read(PAGE) == b"x" * PAGE


@pytest.mark.parametrize("name", ["ram", "state"])
def test_a_truncated_template_is_not_used_but_removed(tmp_path: Path, name: str) -> None:
    made = commit(tmp_path)
    os.truncate(made.path / name, 3)
    assert template.find(tmp_path, KEY) is None
    assert not made.path.exists()


def test_a_damaged_manifest_is_not_believed(tmp_path: Path) -> None:
    made = commit(tmp_path)
    manifest = made.path / "manifest.json"
    manifest.chmod(0o600)
    manifest.write_text("{")
    assert template.find(tmp_path, KEY) is None


def test_another_template_that_is_damaged_is_no_hindrance(tmp_path: Path) -> None:
    old = commit(tmp_path)
    os.truncate(old.ram, 3)
    made = commit(tmp_path, "fedcba9876543210")
    assert template.all_templates(tmp_path) == [made]
    assert not old.path.exists()


def test_remains_of_one_are_no_hindrance(tmp_path: Path) -> None:
    made = commit(tmp_path)
    (made.path / "manifest.json").unlink()
    assert template.find(tmp_path, KEY) is None
    assert commit(tmp_path) == template.find(tmp_path, KEY)


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), template.building(tmp_path, KEY):
        raise RuntimeError("the guest died")
    assert [path.name for path in tmp_path.iterdir()] == [f".{KEY}.lock"]


def test_templates_are_listed_and_removed(tmp_path: Path) -> None:
    made = commit(tmp_path)
    assert template.all_templates(tmp_path) == [made]
    template.remove(made)
    assert template.all_templates(tmp_path) == []
