"""Assets and templates that are damaged, cut short or of another version."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.support.cli import Programs
from tests.support.complaints import complains

RUN = ("run", "-q", "--rm", "enclos/demo", "echo", "ran")


@pytest.fixture
def own(programs: Programs, tmp_path: Path) -> Programs:
    """A data root with assets of its own, linked to the usual ones file by file.

    Replace a file, never write into it.
    """
    place = tmp_path / "data"
    for name in ("assets", "templates"):
        shutil.copytree(
            programs.data_root / name, place / name, symlinks=True, copy_function=os.link
        )
    shutil.copy(programs.data_root / "facts.json", place / "facts.json")
    return Programs(programs.state_root, place)


def current(programs: Programs) -> Path:
    """The assets in force."""
    return Path(os.path.realpath(programs.data_root / "assets/current"))


def replace(path: Path, data: bytes) -> None:
    """Put a new file where `path` was, as old as that."""
    path = Path(os.path.realpath(path))
    found = path.stat()
    path.unlink()
    path.write_bytes(data)
    path.chmod(found.st_mode & 0o7777)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def test_a_damaged_file_is_named(own: Programs) -> None:
    path = current(own) / "vmlinux"
    replace(path, path.read_bytes()[:-1])
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
    path = current(own) / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    replace(path, bytes(data))
    assert f"/{name}\n" in verify(own)


def test_an_initrd_that_is_gone_is_made_again(own: Programs) -> None:
    (current(own) / "initrd").unlink()
    answer = own.enclos(*RUN)
    assert (answer.code, answer.out) == (0, "ran\n")
    assert own.enclos("assets", "verify").code == 0


def test_an_agent_of_another_version_is_replaced(own: Programs) -> None:
    """What an older checkout built is recognised by its version, and made anew."""
    old = current(own)
    manifest = json.loads((old / "manifest.json").read_bytes())
    manifest["agent_version"] = "0" * 64
    replace(old / "manifest.json", json.dumps(manifest).encode())
    answer = own.enclos(*RUN)
    assert (answer.code, answer.out) == (0, "ran\n")


@pytest.mark.parametrize(
    ("text", "words"), [('{"format": 99}', "version"), ("{", "version"), ("", "version")]
)
def test_a_manifest_that_this_version_cannot_read(own: Programs, text: str, words: str) -> None:
    replace(current(own) / "manifest.json", text.encode())
    complains(own.enclos(*RUN), words)


@pytest.mark.parametrize("name", ["ram", "state"])
def test_a_template_cut_short_is_made_again(own: Programs, name: str) -> None:
    for template in (own.data_root / "templates").glob("[0-9a-f]*"):
        replace(template / name, b"short")
    answer = own.enclos(*RUN)
    assert (answer.code, answer.out) == (0, "ran\n")
    assert own.ok("template", "list", "-q").split()


def test_a_template_that_cannot_be_restored_is_removed(own: Programs) -> None:
    for template in (own.data_root / "templates").glob("[0-9a-f]*"):
        replace(template / "state", bytes((template / "state").stat().st_size))
    answer = own.enclos(*RUN)
    assert answer.code == 125
    assert "try again" in answer.err
    assert own.ok(*RUN) == "ran\n"
