"""Values as they are written in files and variables."""

from __future__ import annotations

from pathlib import Path

import pytest

from enclos.config import parse
from enclos.config.settings import DEFAULTS, Accelerator, rows
from enclos.errors import InvalidRequest


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("1048576", 1 << 20),
        ("10b", 10),
        ("512M", 512 << 20),
        ("512m", 512 << 20),
        ("64kb", 64 << 10),
        ("1GiB", 1 << 30),
        ("1.5g", 3 << 29),
        ("2T", 2 << 40),
    ],
)
def test_a_size_is_read_as_docker_reads_it(text: str, expected: int) -> None:
    assert parse.size(text) == expected


@pytest.mark.parametrize("text", ["", "M", "-1", "1x", "1 2", "1i", "1..5g", "1e3", "0x10", "²"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse.size(text)


def test_what_is_not_written_stays() -> None:
    changed = parse.settings({"template": False}, "here")
    assert changed.template is False
    assert changed.data_root == DEFAULTS.data_root


def test_every_kind_is_read_from_text() -> None:
    written = {
        "state_root": "/a",
        "accelerator": "tcg",
        "base_memory_bytes": "1G",
        "max_vcpus": "4",
        "emulation_notice": "off",
        "boot_timeout_s": "2.5",
        "log_level": "debug",
        "debian_mirror": "http://mirror",
    }
    got = parse.settings(written, "here")
    assert got.state_root == Path("/a")
    assert got.accelerator is Accelerator.TCG
    assert got.base_memory_bytes == 1 << 30
    assert got.max_vcpus == 4
    assert got.emulation_notice is False
    assert got.boot_timeout_s == 2.5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("state_root", "relative"),
        ("state_root", 3),
        ("accelerator", "xen"),
        ("accelerator", ["kvm"]),
        ("base_memory_bytes", -1),
        ("base_memory_bytes", True),
        ("base_memory_bytes", 1.5),
        ("max_vcpus", "many"),
        ("template", "perhaps"),
        ("boot_timeout_s", 0),
        ("boot_timeout_s", "nan"),
        ("boot_timeout_s", True),
        ("log_level", "loud"),
        ("debian_mirror", "two\nlines"),
    ],
)
def test_a_bad_value_is_refused_by_key_and_place(name: str, value: object) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse.settings({name: value}, "/etc/x.toml")
    assert caught.value.message.startswith(f"/etc/x.toml: {name}: ")
    assert caught.value.hint


def test_an_unknown_key_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(InvalidRequest, match="unknown setting 'acelerator'") as caught:
        parse.settings({"acelerator": "kvm"}, "f")
    assert caught.value.hint == "did you mean accelerator?"


def test_every_row_is_read_back_from_its_own_default() -> None:
    written = {
        row.name: str(row.default) if isinstance(row.default, Path) else row.default
        for row in rows()
    }
    assert parse.settings(written, "here") == DEFAULTS


def test_every_row_says_what_it_is() -> None:
    assert all(row.help and row.variable.startswith("ENCLOS_") for row in rows())
    assert len({row.name for row in rows()}) == len(rows())
