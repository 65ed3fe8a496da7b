"""A state root that cannot be written to: each verb that writes says so in a line, runc-like.

The file system is full, in blocks or in files, or mounted read-only for who calls. A container
that lives there meanwhile lives on, and can be deleted.
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from enclos.linux import libc
from tests.support import bundles, leaks, waiting
from tests.support.cli import Programs
from tests.support.commands import Answer

FULL = os.strerror(errno.ENOSPC)
READ_ONLY = os.strerror(errno.EROFS)
ROOT_BYTES = 32 << 20
FAILED, EXEC_FAILED, OURS = 1, 255, 125


@pytest.fixture(scope="module")
def small(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    """Our programs with a small file system of their own for the state root."""
    place = tmp_path_factory.mktemp("small")
    before = leaks.snapshot(programs.scope)
    libc.mount("small", os.fspath(place), "tmpfs", 0, f"size={ROOT_BYTES},nr_inodes=400,mode=700")
    try:
        yield replace(programs, state_root=place)
    finally:
        libc.umount2(os.fspath(place), libc.MNT_DETACH)
    assert not leaks.wait_settled(before, programs.scope)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundles.make(tmp_path_factory.mktemp("bundle") / "b", "sleep", "1000")


@pytest.fixture
def created(small: Programs, bundle: Path) -> Iterator[str]:
    """A container that waits for its start."""
    yield from _container(small, bundle, "waiting")


@pytest.fixture(scope="module")
def running(small: Programs, bundle: Path) -> Iterator[str]:
    """A container that runs."""
    for name in _container(small, bundle, "running"):
        assert small.oci("start", name) == Answer(0, "", "")
        yield name


def _container(small: Programs, bundle: Path, name: str) -> Iterator[str]:
    answer = _apart(small, "create", "--bundle", bundle, name)
    assert answer == Answer(0, "", ""), answer
    yield name
    assert small.oci("delete", "--force", name) == Answer(0, "", "")
    assert not (small.state_root / "containers" / name).exists()


def _apart(small: Programs, *words: str | Path) -> Answer:
    """`enclos-oci` with standard streams that a container may keep."""
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >/dev/null 2>&1', "sh", *small.oci_command(*words)],
        stdin=subprocess.DEVNULL, env=small.environment, timeout=240, check=False,
    )  # fmt: skip
    return Answer(done.returncode, "", "")


@contextmanager
def blocks_taken(place: Path) -> Iterator[None]:
    """Every block is in use."""
    ballast = place / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            for size in (1 << 20, 4096):
                _write_until_full(file.fileno(), size)
            yield
        finally:
            ballast.unlink()


def _write_until_full(descriptor: int, size: int) -> None:
    with suppress(OSError):
        while os.write(descriptor, bytes(size)) == size:
            continue


@contextmanager
def files_taken(place: Path) -> Iterator[None]:
    """There are as many files as there may be."""
    directory = place / "ballast"
    directory.mkdir()
    made: list[Path] = []
    try:
        with suppress(OSError):
            while True:
                made.append(directory / str(len(made)))
                made[-1].touch()
        yield
    finally:
        for path in made:
            path.unlink(missing_ok=True)
        directory.rmdir()


TAKEN = [blocks_taken, files_taken]


def told(answer: Answer, code: int, words: str) -> None:
    """It failed with `code` and said why, in one line."""
    assert answer.code == code, answer
    assert answer.out == ""
    assert words in answer.err
    assert len(answer.err.splitlines()) == (1 if code != OURS else 2), answer.err


def or_done(answer: Answer, code: int) -> None:
    """It did not need to write, or failed in the same way."""
    if answer.code:
        told(answer, code, FULL)


def status(small: Programs, name: str) -> str:
    """What `state` says."""
    found: dict[str, str] = json.loads(small.oci("state", name).out)
    return found["status"]


@pytest.mark.parametrize("taken", TAKEN)
@pytest.mark.parametrize("verb", ["create", "run"])
def test_a_new_container_has_no_room(
    small: Programs, bundle: Path, running: str, verb: str, taken: object
) -> None:
    with taken(small.state_root):  # type: ignore[operator]
        told(small.oci(verb, "--bundle", bundle, "another"), FAILED, FULL)
        assert "another" not in small.oci("list", "-q").out
    assert os.listdir(small.state_root / "containers") == [running]
    assert os.listdir(small.state_root / "sandboxes") == [running]


@pytest.mark.parametrize("taken", TAKEN)
def test_a_container_that_runs_lives_on(small: Programs, running: str, taken: object) -> None:
    with taken(small.state_root):  # type: ignore[operator]
        told(small.oci("pause", running), FAILED, FULL)
        assert status(small, running) == "running"
        or_done(small.oci("update", "--pids-limit", "100", running), FAILED)
        or_done(small.oci("exec", running, "true"), EXEC_FAILED)
        pid_file = small.state_root / "pid"
        said = small.oci("exec", "-d", "--pid-file", pid_file, running, "true")
        told(said, EXEC_FAILED, FULL)
        or_done(small.oci("kill", running, "0"), FAILED)
        assert small.oci("ps", running).code == 0
    assert small.oci("pause", running).code == 0
    with taken(small.state_root):  # type: ignore[operator]
        told(small.oci("resume", running), FAILED, FULL)
        assert status(small, running) == "paused"
    assert small.oci("resume", running).code == 0
    assert small.oci("exec", running, "echo", "fine").out == "fine\n"


def test_what_cannot_be_said_to_run_does_not(small: Programs, created: str) -> None:
    with blocks_taken(small.state_root):
        told(small.oci("start", created), FAILED, FULL)
        waiting.until(lambda: status(small, created) == "stopped")


def test_a_full_root_can_be_tidied(small: Programs, bundle: Path, running: str) -> None:
    assert _apart(small, "create", "--bundle", bundle, "last").code == 0
    with blocks_taken(small.state_root):
        assert small.oci("delete", "--force", "last") == Answer(0, "", "")
    assert os.listdir(small.state_root / "containers") == [running]


@pytest.mark.parametrize("taken", TAKEN)
def test_enclos_says_it_in_its_way(small: Programs, running: str, taken: object) -> None:
    with taken(small.state_root):  # type: ignore[operator]
        told(small.enclos("run", "--rm", "enclos/demo", "true"), OURS, FULL)
    assert os.listdir(small.state_root / "containers") == [running]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("create", "--bundle", "BUNDLE", "x"), FAILED),
        (("run", "--bundle", "BUNDLE", "x"), FAILED),
        (("update", "--pids-limit", "50", "running"), FAILED),
        (("exec", "-d", "--pid-file", "ROOT/pid", "running", "true"), EXEC_FAILED),
    ],
)
def test_a_root_that_is_read_only_for_who_calls(
    small: Programs, bundle: Path, running: str, words: tuple[str, ...], code: int
) -> None:
    root = os.fspath(small.state_root)
    filled = [word.replace("BUNDLE", str(bundle)).replace("ROOT", root) for word in words]
    told(_reading(small, *filled), code, READ_ONLY)
    assert os.listdir(small.state_root / "containers") == [running]


def test_what_could_not_be_deleted_can_be_later(small: Programs, bundle: Path) -> None:
    assert _apart(small, "create", "--bundle", bundle, "kept").code == 0
    told(_reading(small, "delete", "--force", "kept"), FAILED, READ_ONLY)
    assert small.oci("delete", "--force", "kept") == Answer(0, "", "")
    assert not (small.state_root / "containers/kept").exists()


def _reading(small: Programs, *words: str | Path) -> Answer:
    """`enclos-oci` where the root is mounted read-only."""
    root = os.fspath(small.state_root)
    script = f'mount --bind {root} {root} && mount -o remount,bind,ro {root} && exec "$@"'
    return small.run(["unshare", "-m", "sh", "-c", script, "sh", *small.oci_command(*words)])
