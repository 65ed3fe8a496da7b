"""Rows about memory: the proportional set size of every process that idle sandboxes add.

Other processes of the machine do not count, whatever they start meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from enclos.linux import pid
from enclos.state import records
from enclos.state.store import StateRoot
from tests.perf import commands
from tests.perf.series import Group, Missing, Row
from tests.perf.subject import IMAGE, Subject

SIZES: Final = (1, 5, 10)
INCREMENT: Final = "one more idle sandbox"
_SETTLE_S: Final = 3.0
_NAME: Final = "enclos-perf-memory"


def groups(subject: Subject) -> list[Group]:
    """One group of few rounds: memory hardly varies, and ten sandboxes take a while."""
    return [Group("memory", 3, lambda: _rows(subject))]


@contextmanager
def _rows(subject: Subject) -> Iterator[Sequence[Row | Missing]]:
    root = StateRoot(subject.state_root)
    before = _sandbox_pids(root)
    sizes: dict[int, float] = {}
    started: list[str] = []

    def measure(count: int) -> float:
        while len(started) > count:
            commands.run([subject.enclos, "rm", "-f", started.pop()])
        while len(started) < count:
            name = f"{_NAME}-{len(started)}"
            commands.run([subject.enclos, "run", "-d", "--name", name, IMAGE, "sleep", "1000"])
            started.append(name)
        time.sleep(_SETTLE_S)
        sizes[count] = sum(map(_pss_bytes, _sandbox_pids(root) - before)) / 1e6
        return sizes[count]

    def increment() -> float:
        return (sizes[SIZES[-1]] - sizes[SIZES[0]]) / (SIZES[-1] - SIZES[0])

    try:
        yield [
            *(Row(f"{count} idle", "MB", partial(measure, count)) for count in SIZES),
            Row(INCREMENT, "MB", increment),
        ]
    finally:
        for name in started:
            commands.run([subject.enclos, "rm", "-f", name])


def _sandbox_pids(root: StateRoot) -> set[int]:
    """Supervisors and stand-ins, and everything that descends from them."""
    seeds = {records.load_sandbox(root, name).supervisor_pid for name in root.sandbox_ids()}
    seeds |= {records.load_container(root, name).pid for name in root.container_ids()}
    parents = {number: pid.parent(number) for number in _pids()}
    return {number for number in parents if _descends(number, parents, seeds)}


def _descends(number: int, parents: dict[int, int], seeds: set[int]) -> bool:
    while number > 1:
        if number in seeds:
            return True
        number = parents.get(number, 0)
    return False


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _pss_bytes(pid: int) -> int:
    """0 for a process that has ended or is the kernel's."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))
