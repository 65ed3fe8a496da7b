"""`enclos-oci` as engines call it: verbs, files, exit codes and words (runc's command line)."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import bundles
from tests.support.cli import Programs
from tests.support.commands import Answer

Make = Callable[..., Path]


@pytest.fixture
def bundle(tmp_path: Path) -> Make:
    """A function that makes one bundle."""

    def make(*args: str, change: Callable[[dict[str, Any]], None] | None = None) -> Path:
        return bundles.make(tmp_path / "bundle", *args, change=change)

    return make


@pytest.fixture
def name(programs: Programs, request: pytest.FixtureRequest) -> Iterator[str]:
    """A container id that is deleted in the end, whatever happened."""
    made = f"oci-{os.getpid()}-{abs(hash(request.node.name)) % 10**6}"
    yield made
    programs.oci("delete", "--force", made)


def create(programs: Programs, bundle: Path, name: str, *more: str) -> Answer:
    """`create` with its output in files, as an engine's pipes would outlive the command."""
    import subprocess

    with (bundle / "out").open("ab") as out, (bundle / "err").open("ab") as err:
        command = programs.oci_command(
            "--log", bundle / "log", "--log-format", "json", "create", "--bundle", bundle,
            "--pid-file", bundle / "pid", *more, name,
        )  # fmt: skip
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
            env=programs.environment, timeout=200, check=False,
        )  # fmt: skip
    text = (bundle / "out").read_text(), (bundle / "err").read_text()
    return Answer(done.returncode, *text)


def state(programs: Programs, name: str) -> dict[str, Any]:
    """The OCI state."""
    answer = programs.oci("state", name)
    assert answer.code == 0, answer.err
    found: dict[str, Any] = json.loads(answer.out)
    return found


def wait_status(programs: Programs, name: str, status: str) -> None:
    """Until the state says `status`."""
    deadline = time.monotonic() + 60
    while state(programs, name)["status"] != status:
        assert time.monotonic() < deadline, state(programs, name)
        time.sleep(0.1)


def test_the_whole_life_of_a_container(programs: Programs, bundle: Make, name: str) -> None:
    path = bundle("sh", "-c", "echo out; echo err >&2; exec sleep 1000")
    assert create(programs, path, name) == Answer(0, "", "")
    pid_text = (path / "pid").read_text()
    assert pid_text.isdecimal(), "digits only: go-runc parses strictly"
    found = state(programs, name)
    assert (found["status"], found["pid"], found["bundle"]) == ("created", int(pid_text), str(path))
    assert programs.oci("start", name).code == 0
    assert state(programs, name)["status"] == "running"
    assert "cannot start an already running container" in programs.oci("start", name).err
    assert "with given ID already exists" in create(programs, path, name).err
    assert "that is not stopped: running" in programs.oci("delete", name).err
    assert programs.oci("pause", name).code == 0
    assert state(programs, name)["status"] == "paused"
    assert "cannot exec in a paused container" in programs.oci("exec", name, "true").err
    assert programs.oci("resume", name).code == 0
    assert programs.oci("exec", name, "sh", "-c", "echo x; exit 9") == Answer(9, "x\n", "", b"x\n")
    assert json.loads(programs.oci("ps", "-f", "json", name).out) == [int(pid_text)]
    assert "sleep 1000" in programs.oci("ps", name).out
    assert name in programs.oci("list").out
    assert programs.oci("kill", name, "0").code == 0
    assert programs.oci("kill", name, "SIGKILL").code == 0
    wait_status(programs, name, "stopped")
    assert state(programs, name)["pid"] == 0
    assert "container not running" in programs.oci("kill", name, "9").err
    assert "cannot exec in a stopped container" in programs.oci("exec", name, "true").err
    assert (path / "out").read_text() == "out\n"
    assert "err\n" in (path / "err").read_text()
    assert programs.oci("delete", name).code == 0
    assert "container does not exist" in programs.oci("state", name).err
    assert "container does not exist" in programs.oci("delete", name).err
    assert programs.oci("delete", "--force", name) == Answer(0, "", "")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("missing",), 'exec: "missing": executable file not found in $PATH'),
        (("/missing",), "no such file or directory"),
        (("/etc/passwd",), "permission denied"),
        (("/etc",), "is a directory"),
    ],
)
def test_a_program_that_cannot_run_fails_create_in_known_words(
    programs: Programs, bundle: Make, name: str, args: tuple[str, ...], words: str
) -> None:
    path = bundle(*args)
    answer = create(programs, path, name)
    assert answer.code == 1
    assert words in answer.err
    last = json.loads((path / "log").read_text().splitlines()[-1])
    assert last["level"] == "error"
    assert words in last["msg"]
    assert "container does not exist" in programs.oci("state", name).err


def test_run_passes_streams_and_status(programs: Programs, bundle: Make, name: str) -> None:
    path = bundle("sh", "-c", "cat; echo err >&2; exit 3")
    answer = programs.oci("run", "--bundle", path, name, stdin=b"in\0put\n")
    assert (answer.code, answer.raw, answer.err) == (3, b"in\0put\n", "err\n")


def test_a_signal_to_the_stand_in_reaches_the_program(
    programs: Programs, bundle: Make, name: str
) -> None:
    path = bundle(
        "sh", "-c", "trap 'echo got; exit 5' TERM; echo ready; while :; do sleep 0.1; done"
    )
    create(programs, path, name)
    programs.oci("start", name)
    deadline = time.monotonic() + 60
    while "ready" not in (path / "out").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.kill(int((path / "pid").read_text()), signal.SIGTERM)
    wait_status(programs, name, "stopped")
    assert (path / "out").read_text() == "ready\ngot\n"


def test_the_stand_in_sees_the_container_and_not_the_host(
    programs: Programs, bundle: Make, name: str
) -> None:
    path = bundle("sleep", "1000")
    create(programs, path, name)
    pid = int((path / "pid").read_text())
    root = Path(f"/proc/{pid}/root")
    assert sorted(os.listdir(root)) == sorted(os.listdir(path / "rootfs"))
    for kind in ("mnt", "pid", "net", "ipc", "uts"):
        assert os.stat(f"/proc/{pid}/ns/{kind}").st_ino != os.stat(f"/proc/self/ns/{kind}").st_ino
    assert os.getsid(pid) == os.getpgid(pid) == pid
    assert {os.readlink(f"/proc/{pid}/fd/{n}") for n in (0, 1, 2)} == {"/dev/null"}
    assert len(os.listdir(f"/proc/{pid}/task")) == 1
    assert [entry for entry in os.listdir(root / "proc") if entry.isdecimal()] == ["1"]


def test_a_hostile_image_cannot_lead_a_bind_to_the_host(
    programs: Programs, bundle: Make, name: str, tmp_path: Path
) -> None:
    target = tmp_path / "outside"
    target.mkdir()

    def bind(spec: dict[str, Any]) -> None:
        source = tmp_path / "source"
        source.mkdir()
        spec["mounts"].append(
            {
                "destination": "/data/deep",
                "type": "bind",
                "source": str(source),
                "options": ["bind"],
            }
        )

    path = bundle("sleep", "1000", change=bind)
    (path / "rootfs/data").symlink_to(target)
    create(programs, path, name)
    assert list(target.iterdir()) == []


def test_binds_are_live_both_ways(
    programs: Programs, bundle: Make, name: str, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_text("from the host\n")

    def bind(spec: dict[str, Any]) -> None:
        spec["mounts"] += [
            {"destination": "/rw", "type": "bind", "source": str(source), "options": ["rbind"]},
            {"destination": "/ro", "type": "bind", "source": str(source),
             "options": ["bind", "ro"]},
            {"destination": "/one", "type": "bind", "source": str(source / "file"),
             "options": ["bind"]},
        ]  # fmt: skip

    script = "cat /rw/file /one; echo guest > /rw/new; echo no > /ro/x; echo $?; sleep 1000"
    path = bundle("sh", "-c", script, change=bind)
    create(programs, path, name)
    programs.oci("start", name)
    deadline = time.monotonic() + 60
    while not (source / "new").exists() or not (source / "new").stat().st_size:
        assert time.monotonic() < deadline, (path / "err").read_text()
        time.sleep(0.1)
    assert (source / "new").read_text() == "guest\n"
    (source / "later").write_text("later\n")
    assert programs.oci("exec", name, "cat", "/rw/later").out == "later\n"
    assert "Read-only file system" in (path / "err").read_text()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "config.json"),
        ('{"ociVersion": 7}', "ociVersion"),
        ("[]", "config.json"),
    ],
)
def test_a_damaged_spec_is_named(
    programs: Programs, bundle: Make, name: str, text: str, words: str
) -> None:
    path = bundle("true")
    (path / "config.json").write_text(text)
    answer = create(programs, path, name)
    assert answer.code == 1
    assert words in answer.err
    assert "Traceback" not in answer.err


def wrong_namespace(spec: dict[str, Any]) -> None:
    """One that nobody knows."""
    spec["linux"]["namespaces"].append({"type": "moon"})


def wrong_capability(spec: dict[str, Any]) -> None:
    """One that nobody has."""
    spec["process"]["capabilities"]["bounding"] = ["CAP_FLY"]


def wrong_rlimit(spec: dict[str, Any]) -> None:
    """One the kernel does not know."""
    spec["process"]["rlimits"] = [{"type": "RLIMIT_LUCK", "hard": 1, "soft": 1}]


def missing_source(spec: dict[str, Any]) -> None:
    """A bind of nothing."""
    spec["mounts"].append(
        {"destination": "/x", "type": "bind", "source": "/does/not/exist", "options": ["bind"]}
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (wrong_namespace, "moon"),
        (wrong_capability, "CAP_FLY"),
        (wrong_rlimit, "RLIMIT_LUCK"),
        (missing_source, "/does/not/exist"),
    ],
)
def test_a_spec_that_cannot_be_is_refused_by_name(
    programs: Programs,
    bundle: Make,
    name: str,
    change: Callable[[dict[str, Any]], None],
    words: str,
) -> None:
    answer = create(programs, bundle("true", change=change), name)
    assert answer.code == 1
    assert words in answer.err
    assert "container does not exist" in programs.oci("state", name).err


@pytest.mark.parametrize("bad", ["a/b", "..", "", "x" * 300, "a b"])
def test_a_bad_id_is_refused(programs: Programs, bundle: Make, bad: str) -> None:
    answer = create(programs, bundle("true"), bad)
    assert answer.code == 1
    assert "invalid container id" in answer.err or "too long" in answer.err


def test_a_relative_bundle_without_a_spec(programs: Programs, name: str) -> None:
    answer = programs.oci("create", "--bundle", "nowhere", name)
    assert answer.code == 1
    assert "config.json not found" in answer.err


def test_a_long_command_line_works(programs: Programs, bundle: Make, name: str) -> None:
    """64 KiB of arguments and 10,000 variables; what exceeds the kernel's limit is refused."""

    def many(spec: dict[str, Any]) -> None:
        spec["process"]["env"] += [f"V{n}=x" for n in range(10_000)]

    path = bundle("sh", "-c", "env | wc -l; echo ${#1}", "sh", "a" * 65_536, change=many)
    answer = programs.oci("run", "--bundle", path, name)
    assert answer.code == 0, answer.err
    lines = answer.out.split()
    assert int(lines[0]) >= 10_000
    assert int(lines[1]) == 65_536


def test_one_argument_beyond_the_kernels_limit_is_refused(
    programs: Programs, bundle: Make, name: str
) -> None:
    answer = programs.oci("run", "--bundle", bundle("echo", "a" * 200_000), name)
    assert answer.code == 1
    assert "list too long" in answer.err.lower()


def test_version_and_features_are_what_engines_parse(programs: Programs) -> None:
    lines = programs.oci("--version").out.splitlines()
    assert lines[0].startswith("enclos-oci version ")
    assert sum("version" in line for line in lines) == 1
    document = json.loads(programs.oci("features").out)
    assert document["ociVersionMin"]
    assert document["ociVersionMax"]


@pytest.mark.parametrize("verb", ["checkpoint", "restore"])
def test_what_is_not_there_fails_even_when_asked_for_help(programs: Programs, verb: str) -> None:
    answer = programs.oci(verb, "--help")
    assert answer.code == 1
    assert "not supported" in answer.err
