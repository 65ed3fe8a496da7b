"""One private podman for all tests, and one running container for those that only look at it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from enclos.linux import mountinfo
from tests.support import containerd, dockerd, leaks, otherroot, sessions
from tests.support import podman as private
from tests.support.cli import Programs
from tests.support.podman import Podman

PACKAGES: Final = ("podman", "runc", "crun", "catatonit", "python3", "iproute2", "procps")


@pytest.fixture(scope="session")
def podman(programs: Programs) -> Iterator[Podman]:
    """podman with our runtime, the image loaded; nothing is left of it in the end."""
    if shutil.which("podman") is None:
        pytest.skip("podman is missing: apt-get install podman")
    directory = Path(tempfile.gettempdir()) / f"podman-{os.getpid()}"
    with ExitStack() as stack:
        stack.enter_context(sessions.using(directory / "state"))
        yield from _private(programs, directory, _program(programs, stack))


def _program(programs: Programs, stack: ExitStack) -> tuple[str, ...]:
    """The host's podman, or that of another release of Debian in a root of its own."""
    suite = os.environ.get("ENCLOS_TEST_PODMAN_SUITE", "")
    if not suite:
        return ("podman",)
    enter = otherroot.with_ours(suite, PACKAGES, programs.data_root)
    return (*stack.enter_context(enter), "podman")


def _private(programs: Programs, directory: Path, program: tuple[str, ...]) -> Iterator[Podman]:
    directory.mkdir(mode=0o700)
    scope = leaks.Scope(roots=(directory,), words=(), others=(containerd.PREFIX, dockerd.PREFIX))
    before = leaks.snapshot(scope)
    settings = {
        "ENCLOS_STATE_ROOT": str(directory / "state"),
        "ENCLOS_DATA_ROOT": str(programs.data_root),
    }
    made = private.make(directory, settings, program=program)
    try:
        private.load_image(made)
        yield made
    finally:
        made.run("pod", "rm", "--all", "--force", "--time=0")
        made.run("rm", "--all", "--force", "--time=0")
        made.run("volume", "rm", "--all", "--force")
        left = leaks.wait_settled(before, scope)
        _remove(directory)
    kinds = ("process", "socket", "loop device", "memory file")
    assert not {kind: left[kind] for kind in kinds if kind in left}


@pytest.fixture(scope="session")
def runc(podman: Podman) -> Podman:
    """The same podman with the runtime that says what is right."""
    if shutil.which("runc") is None:
        pytest.skip("runc is missing: apt-get install runc")
    return replace(podman, runtime="runc")


@pytest.fixture(scope="module")
def box(podman: Podman) -> Iterator[str]:
    """A running container."""
    with podman.running("--name=box") as made:
        yield made


def _remove(directory: Path) -> None:
    for entry in reversed(mountinfo.below(directory)):
        subprocess.run(["umount", "--lazy", str(entry.target)], check=False)
    shutil.rmtree(directory)
