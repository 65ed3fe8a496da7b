"""Rows about containerd: `ctr run` with our shim and with runc's, a pod's first container and one
more, and what an idle shim takes.

containerd has a directory of its own, and the installed shim on its PATH. The root file system is
one directory without a snapshotter, so that what is measured is runtimes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.perf import bundle, commands, memory
from tests.perf.series import Group, Missing, Row, Unavailable
from tests.perf.subject import Subject

CTR_RUN: Final = "ctr run --runtime io.containerd.enclos.v2"
PEERS: Final = {"runc": "io.containerd.runc.v2", "runsc": "io.containerd.runsc.v1"}
SHIM: Final = "shim of an idle task, PSS"
POD_FIRST: Final = "ctr, first container of a pod"
POD_NEXT: Final = "ctr, one more container of a pod"
_RUNTIME: Final = "io.containerd.enclos.v2"
_PROGRAM: Final = "containerd-shim-enclos-v2"
_CONFIG: Final = """\
version = 2
root = "{place}/root"
state = "{place}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "{place}/c.sock"
"""
_START_S: Final = 20
_SETTLE_S: Final = 3.0
_NAME: Final = "perf-idle"
_POD: Final = ("perf-pause", "perf-member")
_SANDBOX: Final = f"io.kubernetes.cri.sandbox-id={_POD[0]}"


@dataclass(frozen=True, slots=True)
class _Ctr:
    """`ctr` of the daemon below `place`."""

    place: Path

    def argv(self, *words: str) -> list[str]:
        return ["ctr", "--address", f"{self.place}/c.sock", *words]


def groups(subject: Subject) -> list[Group]:
    """One group."""
    return [Group("tasks", 5, lambda: _rows(subject))]


@contextmanager
def _rows(subject: Subject) -> Iterator[Sequence[Row | Missing]]:
    made = bundle.make(subject.assets, subject.scratch / "task", ["/bin/true"])
    rootfs = os.fspath(made / "rootfs")
    with _daemon(subject) as ctr:
        rows = [_row(CTR_RUN, ctr, _RUNTIME, rootfs)]
        rows += [_row(f"ctr run --runtime {kind}", ctr, kind, rootfs) for kind in PEERS.values()]
        rows.append(Row(POD_FIRST, "ms", lambda: _pod_ms(ctr, rootfs, timed=0)))
        rows.append(Row(POD_NEXT, "ms", lambda: _pod_ms(ctr, rootfs, timed=1)))
        yield [*rows, Row(SHIM, "MB", lambda: _idle_mb(ctr, rootfs))]


def _row(name: str, ctr: _Ctr, runtime: str, rootfs: str) -> Row | Missing:
    words = ("run", "--rm", "--runtime", runtime, "--rootfs", rootfs, "perf", "/bin/true")
    return commands.row(name, ctr.argv(*words))


def _idle_mb(ctr: _Ctr, rootfs: str) -> float:
    """What the process of our shim takes that does nothing, its machine apart."""
    _run(ctr, rootfs, _NAME)
    try:
        time.sleep(_SETTLE_S)
        shims = [number for number in memory.pids() if _serves(number, ctr.place)]
        return sum(memory.pss_bytes(number, "Pss") for number in shims) / 1e6
    finally:
        _remove(ctr, _NAME)


def _pod_ms(ctr: _Ctr, rootfs: str, *, timed: int) -> float:
    """How long create and start of one of the pod's containers take, by its place in the pod."""
    took: list[float] = []
    try:
        for name in _POD:
            began = time.perf_counter()
            _run(ctr, rootfs, name, "--annotation", _SANDBOX)
            took.append((time.perf_counter() - began) * 1000)
        return took[timed]
    finally:
        for name in _POD[len(took) - 1 :: -1] if took else ():
            _remove(ctr, name)


def _run(ctr: _Ctr, rootfs: str, name: str, *flags: str) -> None:
    words = ("run", "-d", "--runtime", _RUNTIME, *flags, "--rootfs", rootfs, name)
    commands.run(ctr.argv(*words, "/bin/busybox", "sleep", "1000"))


def _remove(ctr: _Ctr, name: str) -> None:
    commands.run(ctr.argv("tasks", "kill", "--signal", "SIGKILL", name))
    _wait_deleted(ctr, name)
    commands.run(ctr.argv("containers", "delete", name))


def _wait_deleted(ctr: _Ctr, name: str) -> None:
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


def _serves(number: int, place: Path) -> bool:
    try:
        words = Path(f"/proc/{number}/cmdline").read_bytes()
        name = Path(f"/proc/{number}/comm").read_text().strip()
    except OSError:
        return False  # ended meanwhile
    return name == "enclos-shim" and os.fsencode(place) in words


@contextmanager
def _daemon(subject: Subject) -> Iterator[_Ctr]:
    """A containerd that is gone in the end, with all of its shims."""
    place = Path(f"/run/enclos-perf-{os.getpid()}")
    ctr = _Ctr(place)
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


def _wait_up(ctr: _Ctr) -> None:
    limit = time.monotonic() + _START_S
    while True:
        try:
            commands.run(ctr.argv("version"))
            return
        except Unavailable:
            if time.monotonic() > limit:
                raise
            time.sleep(0.1)
