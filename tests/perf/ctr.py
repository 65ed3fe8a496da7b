"""A containerd of the benchmark's own, with the installed shim on its PATH, and its `ctr`.

The root file system is one directory without a snapshotter, so that what is measured is runtimes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.perf import commands, memory
from tests.perf.series import Unavailable
from tests.perf.subject import Subject

RUNTIME: Final = "io.containerd.enclos.v2"
_CONFIG: Final = """\
version = 2
root = "{place}/root"
state = "{place}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "{place}/c.sock"
"""
_START_S: Final = 20


@dataclass(frozen=True, slots=True)
class Ctr:
    """`ctr` of the daemon below `place`."""

    place: Path

    def argv(self, *words: str) -> list[str]:
        """The whole command."""
        return ["ctr", "--address", f"{self.place}/c.sock", *words]


def run(ctr: Ctr, rootfs: str, name: str, *flags: str) -> None:
    """Start a task that does nothing."""
    words = ("run", "-d", "--runtime", RUNTIME, *flags, "--rootfs", rootfs, name)
    commands.run(ctr.argv(*words, "/bin/busybox", "sleep", "100000"))


def remove(ctr: Ctr, name: str) -> None:
    """Kill a task and delete it and its container."""
    commands.run(ctr.argv("tasks", "kill", "--signal", "SIGKILL", name))
    _wait_deleted(ctr, name)
    commands.run(ctr.argv("containers", "delete", name))


def _wait_deleted(ctr: Ctr, name: str) -> None:
    limit = time.monotonic() + _START_S
    while True:
        try:
            commands.run(ctr.argv("tasks", "delete", "--force", name))
        except Unavailable as error:
            if "not found" in str(error):
                return
            if time.monotonic() > limit:
                raise
            time.sleep(0.1)
        else:
            return


def shims(place: Path) -> list[int]:
    """The processes that serve tasks of the daemon below `place`."""
    return [number for number in memory.pids() if _serves(number, place)]


def _serves(number: int, place: Path) -> bool:
    try:
        words = Path(f"/proc/{number}/cmdline").read_bytes()
        name = Path(f"/proc/{number}/comm").read_text().strip()
    except OSError:
        return False  # ended meanwhile
    return name == "enclos-shim" and os.fsencode(place) in words


@contextmanager
def daemon(subject: Subject) -> Iterator[Ctr]:
    """A containerd that is gone in the end, with all of its shims."""
    place = Path(f"/run/enclos-perf-{os.getpid()}")
    ctr = Ctr(place)
    path = f"{Path(subject.enclos).parent}:/usr/sbin:/usr/bin:/sbin:/bin"
    if subject.runsc:
        path = f"{path}:{Path(subject.runsc).parent}"
    place.mkdir(mode=0o700)
    try:
        (place / "config.toml").write_text(_CONFIG.format(place=place))
        with (place / "log").open("wb") as log, subprocess.Popen(
            ["containerd", "--config", str(place / "config.toml")],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env={**os.environ, "PATH": path},
        ) as process:  # fmt: skip
            try:
                _wait_up(ctr)
                yield ctr
            finally:
                process.send_signal(signal.SIGTERM)
    except FileNotFoundError as error:
        raise Unavailable(f"no containerd to measure: {error}") from error
    finally:
        commands.run(["rm", "-rf", "--one-file-system", os.fspath(place)])


def _wait_up(ctr: Ctr) -> None:
    limit = time.monotonic() + _START_S
    while True:
        try:
            commands.run(ctr.argv("version"))
            return
        except Unavailable:
            if time.monotonic() > limit:
                raise
            time.sleep(0.1)
