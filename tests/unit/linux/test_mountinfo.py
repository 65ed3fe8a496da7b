"""The kernel's table of mounts, from examples."""

from __future__ import annotations

from pathlib import Path

import pytest

from enclos.linux import mountinfo

TABLE = """\
21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
22 21 0:20 / /proc rw,nosuid - proc proc rw
30 21 0:31 / /mnt/a\\040b rw shared:2 master:1 - tmpfs with\\134backslash rw,size=1k
31 30 0:32 /sub /mnt/a\\040b/deep ro - overlay  rw,lowerdir=/x
32 21 0:33 / /mnt/ab rw - tmpfs none rw
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "mountinfo"
    path.write_text(TABLE)
    return path


def test_optional_fields_may_be_missing_or_many(table: Path) -> None:
    found = mountinfo.entries(table)
    assert [entry.fstype for entry in found] == ["ext4", "proc", "tmpfs", "overlay", "tmpfs"]
    assert found[0].options == {"rw", "relatime"}
    assert found[3].source == ""
    assert found[3].super_options == "rw,lowerdir=/x"


def test_escapes_are_undone(table: Path) -> None:
    entry = mountinfo.entries(table)[2]
    assert entry.target == Path("/mnt/a b")
    assert entry.source == "with\\backslash"


def test_below_goes_by_components_not_letters(table: Path) -> None:
    found = mountinfo.below(Path("/mnt/a b"), table)
    assert [entry.id for entry in found] == [30, 31]


def test_the_deepest_mount_covers(table: Path) -> None:
    entry = mountinfo.covering(Path("/mnt/a b/deep/er"), table)
    assert entry is not None
    assert entry.id == 31
    assert mountinfo.is_mount_point(Path("/proc"), table)
    assert not mountinfo.is_mount_point(Path("/mnt"), table)
