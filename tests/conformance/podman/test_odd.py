"""What should not work through podman, and what is large: one line that says why, nothing left."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import damage, launchers, victims
from tests.support.badguests import BAD, BadGuest
from tests.support.cli import Programs
from tests.support.damage import DAMAGES, Damage
from tests.support.podman import IMAGE, Podman, wait_until
from tests.support.victims import VICTIMS

GIB = 1 << 30


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--device=/dev/no-such-device",), "no-such-device"),
        (("--memory=1k",), "memory"),
        (("--memory=4611686018427387904",), "memory"),
        (("--cpuset-cpus=9999",), "9999"),
        (("--security-opt=seccomp=/etc/hostname",), "seccomp"),
        (("--hostname=" + "x" * 65,), "hostname"),
        (("--volume=/no/such/place:/x",), "/no/such/place"),
        (("--workdir=/etc/plain",), "/etc/plain"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bad_input(podman: Podman, flags: tuple[str, ...], said: str) -> None:
    before = _sandboxes(podman)
    answer = podman.box(*flags, IMAGE, "true")
    assert answer.code in {125, 126, 127}, answer.out
    assert said in answer.err
    assert "Traceback" not in answer.err
    assert _sandboxes(podman) == before


def _sandboxes(podman: Podman) -> set[Path]:
    return set((podman.state_root / "sandboxes").glob("*"))


def test_without_assets_it_is_said_what_to_do(podman: Podman) -> None:
    program = podman.directory / "enclos-bare"
    launchers.write(program, "ocicli", {"ENCLOS_DATA_ROOT": str(podman.directory / "no-data")})
    answer = replace(podman, runtime=str(program)).box(IMAGE, "true")
    assert answer.code == 126, answer.err
    assert "there are no assets" in answer.err
    assert "enclos assets build" in answer.err


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_a_guest_that_does_not_come_up(podman: Podman, programs: Programs, bad: BadGuest) -> None:
    before = _sandboxes(podman)
    program = podman.directory / f"enclos-{bad.name}"
    roots = {"ENCLOS_STATE_ROOT": podman.state_root, "ENCLOS_DATA_ROOT": programs.data_root}
    launchers.write(program, "ocicli", {**{k: str(v) for k, v in roots.items()}, **bad.settings})
    answer = replace(podman, runtime=str(program)).box(IMAGE, "true")
    assert (answer.code, answer.out) == (126, "")
    assert bad.said in answer.err
    assert bad.hint in answer.err
    assert "Traceback" not in answer.err
    assert not podman.ok("ps", "--all", "--quiet", f"--filter=ancestor={IMAGE}")
    wait_until(lambda: _sandboxes(podman) == before)


@pytest.mark.parametrize("one", DAMAGES, ids=lambda one: one.name)
def test_damaged_files_of_ours(
    podman: Podman, programs: Programs, tmp_path: Path, one: Damage
) -> None:
    before = _sandboxes(podman)
    root, program = tmp_path / "data", podman.directory / "enclos-damaged"
    roots = {"ENCLOS_STATE_ROOT": str(podman.state_root), "ENCLOS_DATA_ROOT": str(root)}
    launchers.write(program, "ocicli", roots)
    damage.copied(programs.data_root, root)
    one.strike(root)
    damaged = replace(podman, runtime=str(program))
    answer = damaged.box(IMAGE, "true")
    assert (answer.code, answer.out) == (126, "")
    assert one.said in answer.err
    assert one.hint in answer.err
    assert "Traceback" not in answer.err
    assert not podman.ok("ps", "--all", "--quiet", f"--filter=ancestor={IMAGE}")
    wait_until(lambda: _sandboxes(podman) == before)
    if one.lasts:
        shutil.rmtree(root)
        damage.copied(programs.data_root, root)
    answer = damaged.box(IMAGE, "echo", "ran")
    assert (answer.code, answer.out) == (0, "ran\n"), answer.err


@pytest.mark.parametrize(
    "victim",
    ["supervisor", *(pytest.param(one, marks=pytest.mark.nightly) for one in VICTIMS[1:])],
)
def test_a_killed_part_ends_the_container(podman: Podman, victim: str) -> None:
    """Which podman hears as 137, and can start again."""
    before = _sandboxes(podman)
    with podman.running() as made:
        os.kill(victims.pid_of(podman.state_root, made, victim), signal.SIGKILL)
        assert podman.ok("wait", made) == "137"
        podman.ok("start", made)
        assert podman.ok("exec", made, "echo", "here") == "here"
    wait_until(lambda: _sandboxes(podman) == before)


def test_what_is_large_works(podman: Podman, tmp_path: Path) -> None:
    """Ten thousand variables, 64 KiB of arguments, more memory than the host has, all CPUs."""
    (tmp_path / "env").write_text("".join(f"V{number}={number}\n" for number in range(10_000)))
    flags = (f"--env-file={tmp_path / 'env'}", "--memory=999g", "--cpus=0")
    script = "env | grep -c ^V; echo ${#1}; cat /sys/fs/cgroup/memory.max"
    answer = podman.box(*flags, IMAGE, "sh", "-c", script, "sh", "x" * (64 << 10))
    assert (answer.code, answer.out.split()) == (
        0,
        ["10000", str(64 << 10), str(999 << 30)],
    ), answer.err


def test_many_arguments_and_variables(podman: Podman, box: str) -> None:
    words = ["x" * 1000] * 60
    assert podman.ok("exec", box, "sh", "-c", "echo $#", "sh", *words) == "60"
    flags = [f"--env=V{number}={number}" for number in range(2000)]
    assert podman.ok("exec", *flags, box, "sh", "-c", "env | grep -c ^V") == "2000"


def test_a_killed_client_leaves_a_container_that_runs_on(podman: Podman) -> None:
    words = ("run", "--network=none", "--name=orphan", IMAGE, "sleep", "10000")
    try:
        with podman.start(*words) as child:
            wait_until(lambda: "orphan" in podman.ok("ps", "--format={{.Names}}"))
            child.kill()
        assert podman.ok("exec", "orphan", "echo", "here") == "here"
    finally:
        podman.ok("rm", "--force", "--time=0", "orphan")
    assert not podman.run("ps", "--all", "--quiet", "--filter=name=orphan").out


def _pour(count: int, into: subprocess.Popen[bytes]) -> str:
    """Write `count` bytes that do not repeat; their digest."""
    seen = hashlib.sha256()
    block = b"".join(number.to_bytes(8, "little") for number in range(1 << 14))
    assert into.stdin
    for number in range(count // len(block)):
        piece = number.to_bytes(8, "little") + block[8:]
        seen.update(piece)
        into.stdin.write(piece)
    into.stdin.close()
    into.stdin = None
    return seen.hexdigest()


@pytest.mark.parametrize("count", [16 << 20, pytest.param(GIB, marks=pytest.mark.nightly)])
def test_standard_input_is_exact(podman: Podman, count: int) -> None:
    with podman.start("run", "--rm", "-i", "--network=none", IMAGE, "sha256sum") as child:
        wanted = _pour(count, child)
        out, err = child.communicate(timeout=1200)
    assert child.returncode == 0, err
    assert out.split()[0].decode() == wanted


@pytest.mark.parametrize("count", [4 << 20, pytest.param(256 << 20, marks=pytest.mark.nightly)])
def test_standard_output_is_exact(podman: Podman, count: int, tmp_path: Path) -> None:
    script = f"head -c {count} /dev/zero"
    with podman.start("run", "--rm", "--network=none", IMAGE, "sh", "-c", script) as child:
        out, err = child.communicate(timeout=1200)
    assert child.returncode == 0, err
    assert out == bytes(count)
