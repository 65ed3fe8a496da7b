"""What a container finds mounted: volumes, their options, and what is hidden from it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.cli import Programs
from tests.vm.conftest import Keep

LAG_S = 3
"""A file the guest has just looked at may be seen as it was for a second."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is mounted into the container."""
    made = tmp_path_factory.mktemp("place")
    (made / "tree/deep").mkdir(parents=True)
    (made / "one").write_text("one\n")
    return made


@pytest.fixture(scope="module")
def box(keep: Keep, place: Path) -> str:
    """A container with one of each."""
    return keep(
        "-v", f"{place}/tree:/tree",
        "-v", f"{place}/tree:/again:ro",
        "-v", f"{place}/one:/one",
        "--mount", f"type=bind,source={place}/one,target=/etc/one,readonly",
        "--tmpfs", "/scratch:size=2m,mode=700",
        "--mount", "type=tmpfs,target=/more,tmpfs-size=3m",
        "--shm-size", "5m",
    )  # fmt: skip


def sh(programs: Programs, box: str, script: str) -> str:
    """What a script in the container prints."""
    return programs.ok("exec", box, "sh", "-c", script)


def test_a_directory_is_one_on_both_sides(programs: Programs, box: str, place: Path) -> None:
    sh(programs, box, "echo guest > /tree/deep/file; chmod 640 /tree/deep/file; "
                      "chown 12:34 /tree/deep/file; ln -s file /tree/deep/link")  # fmt: skip
    found = (place / "tree/deep/file").stat()
    assert (place / "tree/deep/link").read_text() == "guest\n"
    assert (found.st_mode & 0o777, found.st_uid, found.st_gid) == (0o640, 12, 34)
    (place / "tree/host").write_text("host\n")
    os.utime(place / "tree/host", (1_000_000_000, 1_000_000_000))
    assert sh(programs, box, "cat /tree/host; stat -c %Y /tree/host") == "host\n1000000000\n"


def test_what_changes_on_the_host_is_seen(programs: Programs, box: str, place: Path) -> None:
    for number in range(3):
        (place / "tree/changing").write_text(f"{number}\n")
        script = f"for i in $(seq {LAG_S * 10}); do grep -q {number} /tree/changing && break; "
        sh(programs, box, f"{script} sleep 0.1; done")
        assert sh(programs, box, "cat /tree/changing") == f"{number}\n"
    (place / "tree/changing").unlink()
    script = "for i in $(seq 30); do [ -e /tree/changing ] || break; sleep 0.1; done"
    assert sh(programs, box, f"{script}; ls /tree/changing 2>/dev/null || echo gone") == "gone\n"


def test_a_single_file_can_be_written(programs: Programs, box: str, place: Path) -> None:
    assert sh(programs, box, "cat /one; echo two >> /one") == "one\n"
    assert (place / "one").read_text() == "one\ntwo\n"
    assert sh(programs, box, "cat /etc/one") == "one\ntwo\n"


@pytest.mark.parametrize("path", ["/again/new", "/etc/one", "/again/deep/file"])
def test_read_only_is_read_only(programs: Programs, box: str, path: str) -> None:
    answer = programs.enclos("exec", box, "sh", "-c", f"echo x >> {path}")
    assert answer.code != 0
    assert "Read-only file system" in answer.err


@pytest.mark.parametrize(
    ("path", "blocks"), [("/scratch", 2048), ("/more", 3072), ("/dev/shm", 5120)]
)
def test_file_systems_in_memory_have_their_size(
    programs: Programs, box: str, path: str, blocks: int
) -> None:
    assert int(sh(programs, box, f"df -k {path} | tail -1").split()[1]) == blocks
    script = f"dd if=/dev/zero of={path}/full bs=1M count=9 2>&1; rm {path}/full"
    assert "No space left" in sh(programs, box, script)


def test_modes_of_a_tmpfs(programs: Programs, box: str) -> None:
    assert sh(programs, box, "stat -c %a /scratch /more /dev/shm").split() == [
        "700",
        "1777",
        "1777",
    ]


def test_what_is_masked(programs: Programs, box: str) -> None:
    script = "head -c 1 /proc/kcore | wc -c; head -c 1 /proc/timer_list | wc -c; ls /sys/firmware"
    assert sh(programs, box, script) == "0\n0\n"


@pytest.mark.parametrize("path", ["/proc/sys/kernel/hostname", "/proc/sysrq-trigger"])
def test_what_cannot_be_written(programs: Programs, box: str, path: str) -> None:
    answer = programs.enclos("exec", box, "sh", "-c", f"echo b > {path}")
    assert "Read-only file system" in answer.err


def test_a_privileged_container_may_all_that_within_its_machine(programs: Programs) -> None:
    script = (
        "echo other > /proc/sys/kernel/hostname; hostname; "
        "mount -t tmpfs none /tmp && echo mounted; "
        "head -c 1 /proc/kcore | wc -c; ls /sys/firmware | head -1"
    )
    out = programs.ok("run", "--rm", "--privileged", "enclos/demo", "sh", "-c", script).split()
    assert out[:3] == ["other", "mounted", "1"]
    assert len(out) == 4


def test_many_files_at_once(programs: Programs, box: str, place: Path) -> None:
    """Also more than the share's window of requests, which is 512."""
    (place / "tree/many").mkdir()
    for number in range(600):
        (place / f"tree/many/{number}").write_text(str(number))
    assert sh(programs, box, "ls /tree/many | wc -l; cat /tree/many/* | wc -c").split() == [
        "600",
        str(sum(len(str(number)) for number in range(600))),
    ]
    sh(programs, box, "rm -r /tree/many")
    assert not (place / "tree/many").exists()


def test_a_volume_of_a_volume_and_one_over_another(programs: Programs, tmp_path: Path) -> None:
    for name in ("outer", "inner"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "name").write_text(name)
    (tmp_path / "outer/sub").mkdir()
    out = programs.ok(
        "run", "--rm", "-v", f"{tmp_path}/inner:/v/sub", "-v", f"{tmp_path}/outer:/v",
        "enclos/demo", "cat", "/v/name", "/v/sub/name",
    )  # fmt: skip
    assert out == "outerinner"


def test_devices_are_the_machines_own(programs: Programs, box: str) -> None:
    wanted = {"console", "core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm",
              "stderr", "stdin", "stdout", "tty", "urandom", "zero"}  # fmt: skip
    found = set(sh(programs, box, "ls /dev").split())
    assert found <= wanted
    assert {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm"} <= found
    assert sh(programs, box, "cat /proc/mounts | grep -c virtiofs").strip() != "0"
