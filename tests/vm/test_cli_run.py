"""`enclos run` as people use it: exit statuses, streams, options, and nothing left behind."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.cli import Programs

RUN = ("run", "--rm", "enclos/demo")


def test_the_container_has_a_kernel_of_its_own(programs: Programs) -> None:
    script = "uname -r; cat /proc/cmdline; id; exit 7"
    answer = programs.enclos(*RUN, "sh", "-c", script)
    kernel, line, identity = answer.out.splitlines()
    assert answer.code == 7
    assert kernel != platform.release()
    assert line != Path("/proc/cmdline").read_text().strip()
    assert identity.startswith("uid=0(root) gid=0(root)")


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["true"], 0),
        (["false"], 1),
        (["sh", "-c", "sh -c 'kill -TERM $$'; exit $?"], 143),
        (["no-such-program"], 127),
        (["/no/such/program"], 127),
        (["/etc/passwd"], 126),
        (["/etc"], 126),
    ],
)
def test_exit_statuses(programs: Programs, command: list[str], code: int) -> None:
    assert programs.enclos(*RUN, *command).code == code


def test_streams_are_kept_apart_and_exact(programs: Programs) -> None:
    data = os.urandom(3_000_000)
    script = "tee /dev/stderr | cat"
    done = subprocess.run(
        programs.command("run", "--rm", "-i", "enclos/demo", "sh", "-c", script),
        input=data,
        capture_output=True,
        env=programs.environment,
        timeout=200,
    )
    assert done.returncode == 0
    assert done.stdout == data
    assert done.stderr == data


def test_stdin_is_empty_without_interactive(programs: Programs) -> None:
    assert programs.ok(*RUN, "cat", stdin=b"not for the container") == ""


def test_output_to_a_file_and_to_nobody(programs: Programs, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with out.open("wb") as file:
        command = programs.command(*RUN, "sh", "-c", "echo one; echo two >&2")
        subprocess.run(
            command, stdout=file, stderr=file, env=programs.environment, check=True, timeout=200
        )
    assert sorted(out.read_text().split()) == ["one", "two"]
    # A reader that goes away ends a program that writes on.
    child = programs.start(*RUN, "yes")
    assert child.stdout is not None
    assert child.stdout.read(4) == b"y\ny\n"
    child.stdout.close()
    assert child.wait(timeout=60) != 0
    child.communicate()


def test_options_reach_the_program(programs: Programs, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "file").write_text("from the host")
    (tmp_path / "env").write_text("# comment\nFROM_FILE=x y\n")
    script = (
        "echo $A-$FROM_FILE-$PASSED; pwd; id -u; id -g; hostname; cat /dst/file; echo; "
        "touch /dst/new 2>/dev/null || echo read-only; grep -c . /sys/fs/cgroup/cpu.max; "
        "cat /sys/fs/cgroup/memory.max; df -k /dev/shm | tail -1"
    )
    programs = Programs(programs.state_root, programs.data_root, {"PASSED": "on"})
    lines = programs.ok(
        "run", "--rm", "-e", "A=1", "-e", "PASSED", "--env-file", tmp_path / "env",
        "-v", f"{tmp_path}:/dst:ro", "-w", "/usr", "-u", "1000:1001", "-m", "300M",
        "--cpus", "0.5", "--hostname", "box", "--shm-size", "8M", "enclos/demo",
        "sh", "-c", script,
    ).splitlines()  # fmt: skip
    assert lines[:8] == [
        "1-x y-on", "/usr", "1000", "1001", "box", "from the host", "read-only", "1",
    ]  # fmt: skip
    assert lines[8] == str(300 << 20)
    assert lines[9].split()[1] == "8192"


def test_long_arguments_and_many_variables(programs: Programs) -> None:
    long = "x" * 65536
    variables = [word for number in range(10_000) for word in ("-e", f"V{number}={number}")]
    script = "echo ${#1}; env | grep -c ^V"
    out = programs.ok("run", "--rm", *variables, "enclos/demo", "sh", "-c", script, "sh", long)
    assert out.split() == ["65536", "10000"]


def test_cidfile_and_name(programs: Programs, tmp_path: Path) -> None:
    file = tmp_path / "id"
    words = ("run", "-d", "--name", "named", "--cidfile", file, "enclos/demo", "sleep", "100")
    container_id = programs.ok(*words).strip()
    try:
        assert file.read_text() == container_id
        answer = programs.enclos(*words)
        assert answer.code == 125
        assert "exists" in answer.err
        file.unlink()
        answer = programs.enclos(*words)
        assert answer.code == 125
        assert "already in use" in answer.err
        assert not file.exists()
    finally:
        programs.ok("rm", "-f", "named")


def test_a_directory_as_root(programs: Programs, tmp_path: Path) -> None:
    busybox = "/bin/busybox"
    if not Path(busybox).exists():
        pytest.skip("no busybox-static on this host")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/busybox").write_bytes(Path(busybox).read_bytes())
    (tmp_path / "bin/busybox").chmod(0o755)
    script = "/bin/busybox uname -r; echo written > /made"
    out = programs.ok(
        "run", "--rm", "--rootfs", tmp_path, "/bin/busybox", "sh", "-c", script
    )  # fmt: skip
    assert out.strip() != platform.release()
    assert (tmp_path / "made").read_text() == "written\n"


def test_cold_boot(programs: Programs) -> None:
    assert programs.ok("run", "--rm", "--no-template", "enclos/demo", "echo", "cold") == "cold\n"


def test_the_notice_about_emulation(programs: Programs) -> None:
    loud = Programs(programs.state_root, programs.data_root, {"ENCLOS_EMULATION_NOTICE": "true"})
    answer = loud.enclos(*RUN, "cat", "/proc/cpuinfo")
    emulated = "no isolation boundary" in answer.err
    assert answer.err.count("\n") == (1 if emulated else 0)
    assert ("QEMU" in answer.out) or not emulated
    assert loud.enclos("run", "--rm", "-q", "enclos/demo", "true").err == ""


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_signals_are_forwarded_and_the_second_one_kills(programs: Programs, tmp_path: Path) -> None:
    script = (
        "trap 'echo got int' INT; trap 'echo got usr1' USR1; touch /v/up; "
        "while true; do sleep 0.2; done"
    )
    child = programs.start(
        "run", "--rm", "-v", f"{tmp_path}:/v", "enclos/demo", "sh", "-c", script
    )  # fmt: skip
    wait_for(tmp_path / "up")
    assert child.stdout is not None
    child.send_signal(signal.SIGUSR1)
    assert child.stdout.readline() == b"got usr1\n"
    child.send_signal(signal.SIGINT)
    assert child.stdout.readline() == b"got int\n"
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=60)
    assert child.returncode == 137


def test_a_signal_while_starting_leaves_nothing(programs: Programs) -> None:
    before = programs.ok("ps", "-aq")
    for delay in (0.2, 0.6, 1.0):
        child = programs.start(*RUN, "sleep", "100")
        time.sleep(delay)
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(timeout=20)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGTERM)  # it was running: the first one was the program's
        child.communicate(timeout=60)
        assert child.returncode != 0
    assert programs.ok("ps", "-aq") == before


def test_detached_with_rm_is_removed_when_it_ends(programs: Programs) -> None:
    programs.ok("run", "-d", "--rm", "--name", "brief", "enclos/demo", "sleep", "1")
    deadline = time.monotonic() + 60
    while programs.ok("ps", "-aq", "--filter", "name=brief"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
