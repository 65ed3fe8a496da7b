"""What goes wrong says so in one line, with a hint, the right status, and leaves nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import imagelayouts
from tests.support.cli import TREE, Programs
from tests.support.commands import Answer

DEMO = "enclos/demo"


def check(answer: Answer, words: str, *, code: int = 125, hint: bool = True) -> None:
    """One line, perhaps a hint, no traceback, nothing on stdout."""
    lines = answer.err.splitlines()
    assert answer.code == code, answer.err
    assert answer.out == ""
    assert lines[0].startswith("enclos: "), answer.err
    assert words in lines[0], answer.err
    assert len(lines) <= 2, answer.err
    assert any(line.startswith("hint: ") for line in lines[1:]) or not hint


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-m", "1K"], "minimum memory limit"),
        (["-m", "lots"], "no size"),
        (["--cpus", "many"], "cpus"),
        (["--pids-limit", "x"], "pids-limit"),
        (["-v", "/no/such/source:/x"], "/no/such/source does not exist"),
        (["-v", "/etc:relative"], "not an absolute path"),
        (["-v", "/a:/b:/c:/d"], "too many colons"),
        (["--mount", "type=odd,target=/x"], "unknown type"),
        (["-u", "stranger"], "unable to find user stranger"),
        (["--cap-add", "FLYING"], "unknown capability"),
        (["--ulimit", "beer=3"], "unknown limit"),
        (["--ulimit", "nofile=5:4"], "soft limit"),
        (["--sysctl", "novalue"], "sysctl"),
        (["--security-opt", "magic"], "unknown option"),
        (["--security-opt", "seccomp=/no/such/file"], "cannot read /no/such/file"),
        (["--env-file", "/no/such/file"], "cannot read /no/such/file"),
        (["--name", "a/b"], "invalid container name"),
        (["--name", "../x"], "invalid container name"),
        (["--name", "x" * 300], "invalid container name"),
        (["--hostname", "a b"], "host name"),
        (["-w", "relative"], "absolute path"),
        (["--stop-signal", "NOPE"], "unknown signal"),
        (["--stop-timeout", "soon"], "--stop-timeout"),
        (["--detach-keys", "alt-x"], "detach key"),
        (["--pull", "often"], "invalid value"),
    ],
)
def test_options(programs: Programs, options: list[str], words: str) -> None:
    check(programs.enclos("run", "--rm", *options, DEMO, "true"), words)
    check(programs.enclos("run", *options, DEMO, "true"), words)


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        (["no-such-program"], 127, "executable file not found"),
        (["/no/such"], 127, "no such file or directory"),
        (["/etc/passwd"], 126, "permission denied"),
        (["/etc"], 126, "is a directory"),
    ],
)
def test_programs(programs: Programs, command: list[str], code: int, words: str) -> None:
    check(programs.enclos("run", "--rm", DEMO, *command), words, code=code, hint=False)
    check(programs.enclos("run", DEMO, *command), words, code=code, hint=False)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("no-such-image", "no-such-image"),
        ("UPPER/case", "must be lowercase"),
        ("oci:/no/such/layout:x", "no such image"),
        ("oci-archive:/etc/passwd", "image"),
        ("docker-archive:/etc/passwd", "image"),
        ("a b", "invalid image reference"),
        ("enclos/demo:other", "no such image"),
        ("x@sha256:12", "digest"),
    ],
)
def test_images(programs: Programs, image: str, words: str) -> None:
    check(programs.enclos("run", "--rm", image, "true"), words)


def test_a_damaged_layer(programs: Programs, tmp_path: Path) -> None:
    layer = imagelayouts.archive(("file", os.urandom(5000)))
    layout = imagelayouts.write(tmp_path / "layout", [layer])
    blob = max((layout / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    data = bytearray(blob.read_bytes())
    data[1000] ^= 0xFF
    blob.write_bytes(data)
    check(programs.enclos("run", "--rm", "-q", f"oci:{layout}", "true"), "layout")


def test_a_digest_that_does_not_match(programs: Programs, tmp_path: Path) -> None:
    layer = imagelayouts.archive(("file", os.urandom(5000)))
    other = imagelayouts.digest(b"something else")
    layout = imagelayouts.write(tmp_path / "layout", [layer], diff_ids=[other])
    answer = programs.enclos("run", "--rm", "-q", f"oci:{layout}", "true")
    check(answer, "layout")
    programs.enclos("rmi", f"oci:{layout}")


def test_another_architecture(programs: Programs, tmp_path: Path) -> None:
    layer = imagelayouts.archive(("file", os.urandom(50)))
    layout = imagelayouts.write(tmp_path / "layout", [layer], architecture="riscv64")
    check(programs.enclos("run", "--rm", "-q", f"oci:{layout}:latest", "true"), "is for riscv64")


def test_an_image_without_a_command(programs: Programs, tmp_path: Path) -> None:
    layer = imagelayouts.archive(("file", os.urandom(50)))
    layout = imagelayouts.write(tmp_path / "layout", [layer])
    check(programs.enclos("run", "--rm", "-q", f"oci:{layout}"), "no command specified")
    programs.ok("rmi", f"oci:{layout}")


@pytest.mark.parametrize("name", ["unknown", "a/b", "..", "x" * 300, ""])
@pytest.mark.parametrize(
    "verb", ["start", "stop", "kill", "rm", "logs", "wait", "pause", "inspect", "top", "diff"]
)
def test_unknown_containers(programs: Programs, verb: str, name: str) -> None:
    answer = programs.enclos(verb, name)
    assert answer.code == 125
    assert answer.err.startswith("enclos: no such container")
    assert answer.err.count("\n") <= 2


def test_not_root(programs: Programs) -> None:
    """With code that anybody may read, wherever the tree is."""
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        shutil.copytree(TREE / "src", f"{place}/src")
        readable = replace(programs, settings={"PYTHONPATH": f"{place}/src"})
        command = readable.command("ps")
        answer = readable.run(["setpriv", "--reuid=65534", "--clear-groups", *command])
    check(answer, "Enclos needs root")


def test_no_assets(programs: Programs, tmp_path: Path) -> None:
    bare = Programs(programs.state_root, tmp_path)
    check(bare.enclos("run", "--rm", DEMO, "true"), "has not been built yet")
    assert bare.enclos("doctor").code == 1
    check(bare.enclos("assets", "verify"), "there are no assets")
    check(bare.enclos("assets", "path"), "there are no assets")


def test_a_full_disk(programs: Programs, tmp_path: Path) -> None:
    """A data root on a file system too small for the image; its assets are elsewhere."""
    image, place = tmp_path / "disk", tmp_path / "data"
    with image.open("wb") as file:
        file.truncate(4 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True, timeout=60)
    place.mkdir()
    subprocess.run(["mount", "-o", "loop", image, place], check=True, timeout=60)
    try:
        (place / "assets").symlink_to(programs.data_root / "assets")
        small = Programs(programs.state_root, place)
        layer = imagelayouts.archive(("file", os.urandom(6 << 20)))
        layout = imagelayouts.write(tmp_path / "layout", [layer])
        answer = small.enclos("run", "--rm", "-q", f"oci:{layout}", "true")
        check(answer, "no space left on device")
        assert small.ok("ps", "-aq") == ""
        assert small.ok("images", "-q") == ""
    finally:
        subprocess.run(["umount", place], check=True, timeout=60)


def test_a_setting_that_is_none(programs: Programs) -> None:
    odd = Programs(programs.state_root, programs.data_root, {"ENCLOS_TEMPLATES": "1"})
    check(odd.enclos("ps"), "unknown setting")


def test_a_damaged_definition_can_be_removed(programs: Programs) -> None:
    made = programs.ok("create", "--name", "hurt", DEMO, "true").strip()
    path = programs.data_root / "containers" / made / "definition.json"
    path.write_text(json.dumps({"id": 5}))
    answer = programs.enclos("ps", "-a")
    assert answer.code == 0
    assert "damaged" in answer.err
    check(programs.enclos("start", "hurt"), "damaged")
    check(programs.enclos("rm", "hurt"), "damaged")
    programs.ok("rm", "-f", "hurt")
    assert programs.enclos("ps", "-a").err == ""
