"""The archive writer: what the kernel will read, byte for byte."""

from __future__ import annotations

import pytest

from enclos.assets import cpio
from enclos.errors import InvalidRequest


def names(archive: bytes) -> list[str]:
    """A reader of the format, independent of the writer: 13 fields of 8 digits after the magic."""
    found: list[str] = []
    at = 0
    while True:
        assert at % 4 == 0
        assert archive[at : at + 6] == b"070701"
        fields = [int(archive[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        size, length = fields[6], fields[11]
        name = archive[at + 110 : at + 110 + length - 1].decode()
        if name == "TRAILER!!!":
            return found
        found.append(name)
        at += (110 + length + 3) // 4 * 4 + (size + 3) // 4 * 4


def test_members_are_sorted_and_parents_added() -> None:
    archive = cpio.archive([cpio.regular("b/c/d", b"12345"), cpio.symlink("a", "b")])
    assert names(archive) == ["a", "b", "b/c", "b/c/d"]


def test_order_of_entries_does_not_matter() -> None:
    entries = [cpio.regular("x", b"1"), cpio.directory("d"), cpio.regular("d/y", b"22")]
    assert cpio.archive(entries) == cpio.archive(reversed(entries))


def test_a_given_directory_keeps_its_mode() -> None:
    archive = cpio.archive([cpio.regular("d/y", b""), cpio.directory("d", 0o700)])
    assert archive[14:22] == b"000041C0"


def test_owner_and_time_are_zero() -> None:
    archive = cpio.archive([cpio.regular("x", b"1")])
    assert archive[22:38] == b"0" * 16
    assert archive[46:54] == b"0" * 8


def test_a_device_has_its_numbers() -> None:
    archive = cpio.archive([cpio.character_device("n", 0o666, major=1, minor=3)])
    assert archive[78:94] == b"0000000100000003"
    assert archive[14:22] == b"000021B6"


@pytest.mark.parametrize("second", ["x", "/x"])
def test_repeated_and_absolute_names_are_refused(second: str) -> None:
    with pytest.raises(InvalidRequest):
        cpio.archive([cpio.regular("x", b""), cpio.regular(second, b"")])
