"""Rows about many idle pods at once: what they take, and how long they take to start and to end.

A pod is a pause container and one more, both asleep. As many are started, and later removed, at a
time as the machine has CPUs. On request only (`--only pods`), as it takes a quarter of an hour and
some ten GB; ENCLOS_TEST_PODS is how many, 50 if it says nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

from tests.perf import bundle, ctr, memory
from tests.perf.ctr import Ctr
from tests.perf.series import Group, Missing, Row, Unavailable
from tests.perf.subject import Subject

PODS: Final = int(os.environ.get("ENCLOS_TEST_PODS", "50"))
STARTED: Final = f"{PODS} pods, all started"
ONE: Final = "… one of them"
HELD: Final = f"{PODS} idle pods, with untouched pages"
REMOVED: Final = f"{PODS} pods, all removed"
_FIRST: Final = "perf-pod"
_SETTLE_S: Final = 10.0
_NEEDED_BYTES: Final = 250_000_000
"""For each pod; without them the machine would end processes instead of measuring."""


def groups(subject: Subject) -> list[Group]:
    """One group of one round."""
    return [Group("pods", 1, lambda: _rows(subject))]


@contextmanager
def _rows(subject: Subject) -> Iterator[Sequence[Row | Missing]]:
    made = bundle.make(subject.assets, subject.scratch / "pods", ["/bin/true"])
    figures: dict[str, float] = {}
    others = (
        (ONE, "s"),
        (f"{PODS} idle pods, PSS", "MB"),
        (HELD, "MB"),
        ("… missing from what the host has free", "MB"),
        ("… CPU time in a second", "ms"),
        (REMOVED, "s"),
    )
    with ctr.daemon(subject) as daemon:
        rootfs = os.fspath(made / "rootfs")
        _start(daemon, rootfs, _FIRST, [])  # it makes the template of pods' machines
        _remove(daemon, _FIRST)
        cycle = partial(_cycle, daemon, rootfs, figures)
        yield [
            Row(STARTED, "s", cycle),
            *(Row(name, unit, partial(figures.__getitem__, name)) for name, unit in others),
        ]


def _cycle(daemon: Ctr, rootfs: str, figures: dict[str, float]) -> float:
    """Start all, look, remove all; fills in what the other rows say."""
    before = _available_bytes()
    if before < PODS * _NEEDED_BYTES:
        raise Unavailable(f"{PODS} pods need {PODS * _NEEDED_BYTES >> 20} MiB of free memory")
    names = [f"perf-pod{number}" for number in range(PODS)]
    began: list[str] = []
    try:
        took, each = _all(names, lambda name: _start(daemon, rootfs, name, began))
        figures[ONE] = median(each)
        time.sleep(_SETTLE_S)
        found = memory.families(set(ctr.shims(daemon.place)))
        pss = sum(memory.pss_bytes(number, "Pss") for number in found)
        figures[f"{PODS} idle pods, PSS"] = pss / 1e6
        figures[HELD] = memory.held_bytes(found) / 1e6
        figures["… missing from what the host has free"] = (before - _available_bytes()) / 1e6
        figures["… CPU time in a second"] = _cpu_ms(found)
    finally:
        figures[REMOVED], _ = _all(began, lambda name: _remove(daemon, name))
    return took


def _all(names: Sequence[str], act: Callable[[str], None]) -> tuple[float, list[float]]:
    """Do it with each; seconds for all of them, and for each."""

    def timed(name: str) -> float:
        began = time.perf_counter()
        act(name)
        return time.perf_counter() - began

    began = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        each = list(threads.map(timed, names))
    return time.perf_counter() - began, each


def _start(daemon: Ctr, rootfs: str, name: str, began: list[str]) -> None:
    annotation = f"io.kubernetes.cri.sandbox-id={name}"
    began.append(name)
    for one in (name, _member(name)):
        ctr.run(daemon, rootfs, one, "--annotation", annotation)


def _remove(daemon: Ctr, name: str) -> None:
    for one in (_member(name), name):
        ctr.remove(daemon, one)


def _member(name: str) -> str:
    return f"{name}-member"


def _available_bytes() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    raise Unavailable("the kernel does not say what memory is available")


def _cpu_ms(pids: set[int]) -> float:
    """What these processes use while nobody asks anything of them."""
    before = _ticks(pids)
    time.sleep(_SETTLE_S)
    return (_ticks(pids) - before) * 1000 / os.sysconf("SC_CLK_TCK") / _SETTLE_S


def _ticks(pids: set[int]) -> int:
    total = 0
    for number in pids:
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total
