"""Assets and templates that are damaged, cut short or of another version."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support import damage
from tests.support.cli import Programs
from tests.support.complaints import complains
from tests.support.damage import blank_states, current, cut_short, replace

RUN = ("run", "-q", "--rm", "enclos/demo", "echo", "ran")


@pytest.fixture
def own(programs: Programs, tmp_path: Path) -> Programs:
    """Our programs with a data root that may be damaged."""
    place = tmp_path / "data"
    damage.copied(programs.data_root, place)
    return Programs(programs.state_root, place)


def test_a_damaged_file_is_named(own: Programs) -> None:
    cut_short(current(own.data_root) / "vmlinux")
    complains(own.enclos(*RUN), "/vmlinux")
    assert "/vmlinux\n" in verify(own)


def verify(programs: Programs) -> str:
    """What `assets verify` finds: something."""
    answer = programs.enclos("assets", "verify")
    assert answer.code == 1
    assert "hint: " in answer.err
    return answer.out


@pytest.mark.parametrize("name", ["vmlinux", "tool-root/usr/bin/qemu-system-x86_64"])
def test_bytes_that_changed_in_place_are_found_by_verify(own: Programs, name: str) -> None:
    """Size and time are as before, so only reading everything finds it."""
    path = current(own.data_root) / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    replace(path, bytes(data))
    assert f"/{name}\n" in verify(own)


def test_an_initrd_that_is_gone_is_made_again(own: Programs) -> None:
    (current(own.data_root) / "initrd").unlink()
    answer = own.enclos(*RUN)
    assert (answer.code, answer.out) == (0, "ran\n")
    assert own.enclos("assets", "verify").code == 0


def test_an_agent_of_another_version_is_replaced(own: Programs) -> None:
    """What an older checkout built is recognised by its version, and made anew."""
    old = current(own.data_root)
    manifest = json.loads((old / "manifest.json").read_bytes())
    manifest["agent_version"] = "0" * 64
    replace(old / "manifest.json", json.dumps(manifest).encode())
    answer = own.enclos(*RUN)
    assert (answer.code, answer.out) == (0, "ran\n")


@pytest.mark.parametrize(
    ("text", "words"), [('{"format": 99}', "version"), ("{", "version"), ("", "version")]
)
def test_a_manifest_that_this_version_cannot_read(own: Programs, text: str, words: str) -> None:
    replace(current(own.data_root) / "manifest.json", text.encode())
    complains(own.enclos(*RUN), words)


@pytest.mark.nightly
@pytest.mark.parametrize("name", ["ram", "state"])
def test_a_template_cut_short_is_made_again(own: Programs, name: str) -> None:
    for template in (own.data_root / "templates").glob("[0-9a-f]*"):
        replace(template / name, b"short")
    answer = own.enclos(*RUN)
    assert (answer.code, answer.out) == (0, "ran\n")
    assert own.ok("template", "list", "-q").split()


def test_a_template_that_cannot_be_restored_is_removed(own: Programs) -> None:
    blank_states(own.data_root)
    answer = own.enclos(*RUN)
    assert answer.code == 125
    assert "try again" in answer.err
    assert own.ok(*RUN) == "ran\n"
