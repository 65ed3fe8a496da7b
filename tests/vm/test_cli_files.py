"""Files: copies in and out, what a container changed, volumes, tmpfs, and coherence."""

from __future__ import annotations

import io
import os
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli import Programs

COHERENT_S = 3
"""A guest may keep what it knows of a file for a second."""


@pytest.fixture
def box(programs: Programs) -> Iterator[str]:
    """A container that sleeps."""
    programs.ok("run", "-d", "--name", "box", "enclos/demo", "sleep", "1000")
    yield "box"
    programs.enclos("rm", "-f", "box")


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_copies_both_ways(programs: Programs, box: str, tmp_path: Path, *, running: bool) -> None:
    if not running:
        programs.ok("stop", "-t", "0", box)
    (tmp_path / "tree/deep").mkdir(parents=True)
    (tmp_path / "tree/deep/data").write_bytes(os.urandom(500_000))
    (tmp_path / "tree/link").symlink_to("deep/data")
    programs.ok("cp", tmp_path / "tree", f"{box}:/copied")
    programs.ok("cp", f"{box}:/copied", tmp_path / "back")
    assert (tmp_path / "back/deep/data").read_bytes() == (tmp_path / "tree/deep/data").read_bytes()
    assert os.readlink(tmp_path / "back/link") == "deep/data"
    answer = programs.enclos("cp", f"{box}:/nowhere", tmp_path)
    assert (answer.code, answer.out) == (125, "")
    assert answer.err.count("\n") <= 2


def test_copies_of_a_running_container_are_coherent(
    programs: Programs, box: str, tmp_path: Path
) -> None:
    programs.ok("exec", box, "sh", "-c", "echo guest > /file")
    programs.ok("cp", f"{box}:/file", tmp_path / "file")
    assert (tmp_path / "file").read_text() == "guest\n"
    (tmp_path / "file").write_text("host\n")
    programs.ok("cp", tmp_path / "file", f"{box}:/file")
    deadline = time.monotonic() + COHERENT_S
    while programs.ok("exec", box, "cat", "/file") != "host\n":
        assert time.monotonic() < deadline, "the guest does not see what the host has changed"


def test_archives_on_standard_streams(programs: Programs, box: str) -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        member = tarfile.TarInfo("sub/name")
        member.size = 5
        archive.addfile(member, io.BytesIO(b"bytes"))
    programs.ok("cp", "-", f"{box}:/tmp", stdin=made.getvalue())
    assert programs.ok("exec", box, "cat", "/tmp/sub/name") == "bytes"
    raw = programs.enclos("cp", f"{box}:/tmp/sub", "-").raw
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        assert archive.getnames() == ["sub", "sub/name"]


def test_what_a_container_changed(programs: Programs, box: str) -> None:
    assert programs.ok("diff", box) == ""
    programs.ok("exec", box, "sh", "-c", "rm /bin/cat; echo x > /etc/new; mkdir /made")
    assert programs.ok("diff", box).splitlines() == [
        "C /bin", "D /bin/cat", "C /etc", "A /etc/new", "A /made",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [("cp", "a", "b"), ("cp", "box:/a", "box:/b"), ("cp", "box:", "x"), ("cp", "no:/a", "x")],
)
def test_copies_that_make_no_sense(programs: Programs, box: str, words: tuple[str, ...]) -> None:
    answer = programs.enclos(*words)
    assert answer.code == 125
    assert "hint: " in answer.err


def test_volumes_are_shared_and_kept(programs: Programs, tmp_path: Path) -> None:
    (tmp_path / "single").write_text("one file")
    script = "cat /single; echo into-volume > /data/x; mount | grep -c ' /scratch type tmpfs'"
    words = (
        "-v",
        f"{tmp_path}/single:/single:ro",
        "-v",
        "kept:/data",
        "--tmpfs",
        "/scratch:size=1m",
    )
    try:
        out = programs.ok("run", "--rm", *words, "enclos/demo", "sh", "-c", script)
        assert out == "one file1\n"
        again = "type=volume,source=kept,target=/again,readonly"
        script = "cat /again/x; touch /again/y 2>/dev/null || echo refused"
        out = programs.ok("run", "--rm", "--mount", again, "enclos/demo", "sh", "-c", script)
        assert out.split() == ["into-volume", "refused"]
    finally:
        data = programs.data_root / "volumes/kept/_data"
        assert (data / "x").read_text() == "into-volume\n"
        (data / "x").unlink()
        data.rmdir()
        for path in data.parent.iterdir():
            path.unlink()
        data.parent.rmdir()


def test_anonymous_volumes_go_with_their_container(programs: Programs) -> None:
    place = programs.data_root / "volumes"
    before = set(place.iterdir()) if place.is_dir() else set()
    programs.ok("create", "--name", "anon", "-v", "/data", "enclos/demo", "true")
    assert len(set(place.iterdir()) - before) == 1
    programs.ok("rm", "anon")
    assert set(place.iterdir()) == before


def test_read_only_root(programs: Programs) -> None:
    script = "touch /x 2>/dev/null && echo written || echo refused; touch /dev/shm/x && echo shm"
    out = programs.ok("run", "--rm", "--read-only", "enclos/demo", "sh", "-c", script)
    assert out.split() == ["refused", "shm"]
