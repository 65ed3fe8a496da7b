"""What cannot be done is refused through docker in our words, with a hint, and leaves nothing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import pytest

from enclos.linux import mountinfo
from tests.support import damage, waiting
from tests.support.badguests import BAD, BadGuest
from tests.support.damage import DAMAGES, Damage
from tests.support.dockerd import BARE, DAMAGED, IMAGE, SHIM, Docker

FRAME: Final = "failed to create shim task: OCI runtime create failed: "
"""What the runtime says follows it, but for a shim of its own. Newer dockers say more before it."""


@pytest.mark.parametrize(
    ("words", "complaint", "hint"),
    [
        (("--sysctl", "net.ipv4.nonsense=1"), "/proc/sys/net/ipv4/nonsense", "mend"),
        (("--device", "/dev/tty0"), "/dev/tty0 (c 4:0) is a device of the host", "remove it"),
        (("--tmpfs", "/etc/passwd"), "`etc/passwd`", "mend"),
        (("--cpu-rt-runtime", "100"), "has no realtime limits", "remove realtimeRuntime"),
        (("--runtime", BARE), "there are no assets", "enclos assets build"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_refusal(docker: Docker, words: tuple[str, str], complaint: str, hint: str) -> None:
    before = left_of(docker)
    answer = docker.run(*words, IMAGE, "true")
    assert (answer.code, answer.out) == (125, "")
    line = answer.err.splitlines()[0]
    assert line.startswith("docker: Error response from daemon: ")
    assert complaint in (line if SHIM else line.partition(FRAME)[2])
    assert hint in line.partition(complaint)[2]
    assert "Traceback" not in answer.err
    nothing_is_left(docker, before)


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_a_guest_that_does_not_come_up(docker: Docker, bad: BadGuest) -> None:
    before = left_of(docker)
    answer = docker.run("--runtime", f"enclos-{bad.name}", IMAGE, "true")
    assert (answer.code, answer.out) == (125, "")
    assert bad.said in answer.err.partition(FRAME)[2]
    assert bad.hint in answer.err
    assert "Traceback" not in answer.err
    nothing_is_left(docker, before)


@pytest.mark.parametrize("one", DAMAGES, ids=lambda one: one.name)
def test_damaged_files_of_ours(docker: Docker, one: Damage) -> None:
    before = left_of(docker)
    root = docker.damaged_root
    damage.copied(docker.programs.data_root, root)
    try:
        one.strike(root)
        answer = docker.run(IMAGE, "true", runtime=DAMAGED)
        assert (answer.code, answer.out) == (125, ""), answer.err
        assert one.said in answer.err.partition(FRAME)[2]
        assert one.hint in answer.err
        assert "Traceback" not in answer.err
        nothing_is_left(docker, before)
        if one.lasts:
            shutil.rmtree(root)
            damage.copied(docker.programs.data_root, root)
        answer = docker.run(IMAGE, "echo", "ran", runtime=DAMAGED)
        assert (answer.code, answer.out) == (0, "ran\n"), answer.err
    finally:
        shutil.rmtree(root)


def test_what_is_large_works(docker: Docker, tmp_path: Path) -> None:
    """Ten thousand variables, 64 KiB of arguments, more memory than the host has, all CPUs."""
    (tmp_path / "env").write_text("".join(f"V{number}={number}\n" for number in range(10_000)))
    flags = ("--env-file", str(tmp_path / "env"), "--memory", "999g", "--cpus", "0")
    script = "env | grep -c ^V; echo ${#1}; cat /sys/fs/cgroup/memory.max"
    answer = docker.run(*flags, IMAGE, "sh", "-c", script, "sh", "x" * (64 << 10))
    assert (answer.code, answer.out.split()) == (
        0,
        ["10000", str(64 << 10), str(999 << 30)],
    ), answer.err


def test_what_is_beyond_the_kernels_limits_is_refused(docker: Docker, tmp_path: Path) -> None:
    """runc starts the container and lets it end with 1."""
    line = f"=V{'x' * 60_000}\n"
    (tmp_path / "env").write_text("".join(f"V{number}{line}" for number in range(150)))
    words = ("--env-file", str(tmp_path / "env"), IMAGE, "true")
    ours, theirs = docker.run(*words), docker.run(*words, runtime="runc")
    assert (ours.code, theirs.code) == (125, 1), (ours.err, theirs.err)
    assert all("argument list too long" in answer.err.lower() for answer in (ours, theirs))
    assert "pass the data in a file" in ours.err
    assert "Traceback" not in ours.err


def nothing_is_left(docker: Docker, before: set[str]) -> None:
    """In the end, but for what was there: docker 26 keeps a container mounted that was exported,
    with runc as well."""
    waiting.until(
        lambda: left_of(docker) <= before,
        lambda: "\n".join(left_of(docker) - before),
        timeout_s=20,
    )


def left_of(docker: Docker) -> set[str]:
    """Containers of ours that docker or the runtime still has, and their mounts."""
    found = docker.ok("ps", "-aq", "--filter", f"ancestor={IMAGE}").split()
    places = [path for path in docker.runtime_root.glob("*/*") if path.is_dir()]
    mounts = mountinfo.below(docker.runtime_root) + mountinfo.below(docker.data / "overlay2")
    return {*found, *map(str, places), *(str(entry.target) for entry in mounts)}


def test_daemon_json_is_what_docker_reads(docker: Docker, tmp_path: Path) -> None:
    """The file that `enclos setup docker` writes is taken by this dockerd."""
    path = tmp_path / "daemon.json"
    path.write_text('{"debug": false}\n')
    words = docker.programs.command("setup", "docker", "--config-file", path)
    answer = docker.programs.run(["env", f"PATH={docker.place}:/usr/bin:/bin", *words])
    assert answer.code == 0, answer.err
    config = docker.place / "daemon.json"
    before = config.read_text()
    config.write_text(path.read_text())
    try:
        docker.reload()
        waiting.until(lambda: '"enclos-oci":' in docker.ok("info", "-f", "{{json .Runtimes}}"))
        assert docker.run(IMAGE, "echo", "hi", runtime="enclos-oci").out == "hi\n"
    finally:
        config.write_text(before)
        docker.reload()
