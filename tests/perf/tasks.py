"""Rows about containerd: `ctr run` with our shim and with runc's, a pod's first container and one
more, and what an idle shim takes.

All by a containerd of the benchmark's own (`ctr`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from tests.perf import bundle, commands, ctr, memory
from tests.perf.ctr import Ctr
from tests.perf.series import Group, Missing, Row
from tests.perf.subject import Subject

CTR_RUN: Final = "ctr run --runtime io.containerd.enclos.v2"
PEERS: Final = {"runc": "io.containerd.runc.v2", "runsc": "io.containerd.runsc.v1"}
SHIM: Final = "shim of an idle task, PSS"
POD_FIRST: Final = "ctr, first container of a pod"
POD_NEXT: Final = "ctr, one more container of a pod"
_SETTLE_S: Final = 3.0
_NAME: Final = "perf-idle"
_POD: Final = ("perf-pause", "perf-member")
_SANDBOX: Final = f"io.kubernetes.cri.sandbox-id={_POD[0]}"


def groups(subject: Subject) -> list[Group]:
    """One group."""
    return [Group("tasks", 5, lambda: _rows(subject))]


@contextmanager
def _rows(subject: Subject) -> Iterator[Sequence[Row | Missing]]:
    made = bundle.make(subject.assets, subject.scratch / "task", ["/bin/true"])
    rootfs = os.fspath(made / "rootfs")
    with ctr.daemon(subject) as daemon:
        rows = [_row(CTR_RUN, daemon, ctr.RUNTIME, rootfs)]
        rows += [_row(f"ctr run --runtime {kind}", daemon, kind, rootfs) for kind in PEERS.values()]
        rows.append(Row(POD_FIRST, "ms", lambda: _pod_ms(daemon, rootfs, timed=0)))
        rows.append(Row(POD_NEXT, "ms", lambda: _pod_ms(daemon, rootfs, timed=1)))
        yield [*rows, Row(SHIM, "MB", lambda: _idle_mb(daemon, rootfs))]


def _row(name: str, daemon: Ctr, runtime: str, rootfs: str) -> Row | Missing:
    words = ("run", "--rm", "--runtime", runtime, "--rootfs", rootfs, "perf", "/bin/true")
    return commands.row(name, daemon.argv(*words))


def _idle_mb(daemon: Ctr, rootfs: str) -> float:
    """What the process of our shim takes that does nothing, its machine apart."""
    ctr.run(daemon, rootfs, _NAME)
    try:
        time.sleep(_SETTLE_S)
        serving = ctr.shims(daemon.place)
        return sum(memory.pss_bytes(number, "Pss") for number in serving) / 1e6
    finally:
        ctr.remove(daemon, _NAME)


def _pod_ms(daemon: Ctr, rootfs: str, *, timed: int) -> float:
    """How long create and start of one of the pod's containers take, by its place in the pod."""
    took: list[float] = []
    try:
        for name in _POD:
            began = time.perf_counter()
            ctr.run(daemon, rootfs, name, "--annotation", _SANDBOX)
            took.append((time.perf_counter() - began) * 1000)
        return took[timed]
    finally:
        for name in _POD[len(took) - 1 :: -1] if took else ():
            ctr.remove(daemon, name)
