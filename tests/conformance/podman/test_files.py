"""Files between host and container: cp, diff, commit, export; and what must never be reached."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import imagelayouts
from tests.support import podman as private
from tests.support.podman import IMAGE, Podman

CANARY = "only the host's\n"


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A directory of the host with a secret, whose path also stands in hostile images."""
    place = tmp_path / "canary"
    place.mkdir()
    (place / "secret").write_text(CANARY)
    return place


def _untouched(canary: Path) -> None:
    assert {path.name: path.read_text() for path in canary.iterdir()} == {"secret": CANARY}


def test_copies_into_and_out_of_a_running_container(
    podman: Podman, box: str, tmp_path: Path
) -> None:
    (tmp_path / "dir/below").mkdir(parents=True)
    (tmp_path / "dir/below/file").write_text("copied\n")
    podman.ok("cp", tmp_path / "dir", f"{box}:/tmp/in")
    private.wait_until(
        lambda: podman.run("exec", box, "cat", "/tmp/in/below/file").out == "copied\n"
    )
    podman.ok("exec", box, "sh", "-c", "echo changed >/tmp/in/below/file; sync")
    podman.ok("cp", f"{box}:/tmp/in/below", tmp_path / "out")
    assert (tmp_path / "out/file").read_text() == "changed\n"
    podman.ok("cp", "-", f"{box}:/tmp", stdin=imagelayouts.archive(("piped", b"by tar\n")))
    private.wait_until(lambda: podman.run("exec", box, "cat", "/tmp/piped").out == "by tar\n")
    assert podman.run("cp", f"{box}:/nothing", tmp_path).code != 0


def test_copies_into_and_out_of_a_stopped_container(podman: Podman, tmp_path: Path) -> None:
    with podman.running(script="echo left >/left") as made:
        podman.ok("wait", made)
        podman.ok("cp", f"{made}:/left", tmp_path / "left")
        assert (tmp_path / "left").read_text() == "left\n"
        (tmp_path / "new").write_text("new\n")
        podman.ok("cp", tmp_path / "new", f"{made}:/etc/new")
        podman.ok("cp", f"{made}:/etc/new", tmp_path / "again")
        assert (tmp_path / "again").read_text() == "new\n"


def test_diff_commit_and_export(podman: Podman, tmp_path: Path) -> None:
    script = "echo more >/etc/more; rm /etc/plain; sync; echo ready; exec sleep 1000"
    with podman.running(script=script) as made:
        private.wait_until(lambda: "ready" in podman.ok("logs", made))
        changes = set(podman.ok("diff", made).splitlines())
        assert {"A /etc/more", "D /etc/plain", "C /etc"} <= changes
        podman.ok("commit", "--quiet", made, "localhost/committed")
        try:
            answer = podman.box("localhost/committed", "sh", "-c", "cat /etc/more; ls /etc/plain")
            assert (answer.code, answer.out) == (1, "more\n")
        finally:
            podman.ok("rmi", "localhost/committed")
        podman.ok("export", f"--output={tmp_path / 'all.tar'}", made)
    with tarfile.open(tmp_path / "all.tar") as tar:
        names = tar.getnames()
        more = tar.extractfile("etc/more")
        assert more is not None
        assert more.read() == b"more\n"
    assert "etc/plain" not in names


def test_top_lists_the_container_only(podman: Podman, box: str) -> None:
    header, *rows = podman.ok("top", box, "hpid", "pid", "comm").splitlines()
    assert header.split() == ["HPID", "PID", "COMMAND"]
    standing = {row.split()[0] for row in rows}
    assert str(podman.inspected(box)["State"]["Pid"]) in standing
    assert str(os.getpid()) not in standing
    assert "1" not in standing


def test_stats_are_the_containers(podman: Podman, box: str) -> None:
    words = ("stats", "--no-stream", "--format={{.PIDs}} {{.MemUsageBytes}}", box)
    assert podman.ok(*words)


def _hostile(podman: Podman, canary: Path) -> str:
    """An image that is all links to the host's places."""
    deep = "../" * 16
    members = [
        imagelayouts.symlink("evil", os.fspath(canary)),
        imagelayouts.symlink("deep", f"{deep}{os.fspath(canary)[1:]}"),
        imagelayouts.symlink("etc/hosts", f"{deep}{os.fspath(canary)[1:]}/hosts"),
        imagelayouts.symlink("etc/resolv.conf", f"{canary}/resolv.conf"),
        imagelayouts.symlink("root", "/proc/1/root"),
        imagelayouts.symlink("mnt", os.fspath(canary)),
    ]
    layout = private.write_box(podman.directory / "layout", *members, tag="hostile")
    return podman.ok("pull", "--quiet", f"oci:{layout}:hostile")


@pytest.fixture
def hostile(podman: Podman, canary: Path) -> Iterator[str]:
    """A running container of a hostile image, with a volume on one of its links."""
    image = _hostile(podman, canary)
    volume = canary.parent / "volume"
    volume.mkdir()
    flags = (f"--volume={volume}:/mnt/inside",)
    made = podman.ok("run", "-d", "--network=none", *flags, image, "sleep", "10000")
    yield made
    podman.run("rm", "--force", "--time=0", made)
    podman.run("rmi", "--force", image)


def test_a_hostile_image_reaches_nothing(
    podman: Podman, hostile: str, canary: Path, tmp_path: Path
) -> None:
    _untouched(canary)
    (tmp_path / "sent").write_text("sent\n")
    for place in ("/evil/pwned", "/deep/pwned", "/root/tmp/pwned", f"{canary}/pwned"):
        podman.run("cp", tmp_path / "sent", f"{hostile}:{place}")
        _untouched(canary)
    for place in ("/evil/secret", "/deep/secret", f"/root{canary}/secret", f"{canary}/secret"):
        answer = podman.run("cp", f"{hostile}:{place}", tmp_path / "taken")
        assert answer.code != 0, place
        assert not (tmp_path / "taken").exists()
    rows = podman.ok("top", hostile, "hpid").splitlines()[1:]
    assert rows == [str(podman.inspected(hostile)["State"]["Pid"])]


def test_a_hostile_program_reaches_nothing(
    podman: Podman, hostile: str, canary: Path, tmp_path: Path
) -> None:
    """Links made while it runs, below what `cp` is asked for."""
    script = f"ln -s {canary} /tmp/a; ln -s /proc/1/root{canary} /tmp/b; mkdir -p /tmp/c; sync"
    podman.ok("exec", hostile, "sh", "-c", script)
    (tmp_path / "sent").write_text("sent\n")
    for place in ("/tmp/a/x", "/tmp/b/x", "/tmp/b/secret"):
        podman.run("cp", tmp_path / "sent", f"{hostile}:{place}")
        podman.run("cp", f"{hostile}:{place}", tmp_path / "taken")
        _untouched(canary)
    taken = tmp_path / "taken"
    assert not taken.exists() or taken.read_text() != CANARY


def test_the_same_holds_by_the_path_of_the_program(podman: Podman, tmp_path: Path) -> None:
    """`--runtime /path/of/enclos-oci`, without any configuration."""
    by_path = replace(podman, runtime=str(podman.directory / "enclos-oci"))
    answer = by_path.box(IMAGE, "sh", "-c", "echo by path")
    assert (answer.code, answer.out) == (0, "by path\n"), answer.err


def _members(data: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return tar.getnames()


def test_cp_to_standard_output_is_a_tar(podman: Podman, box: str) -> None:
    answer = podman.run("cp", f"{box}:/etc/passwd", "-")
    assert answer.code == 0
    assert _members(answer.raw) == ["passwd"]
