"""Rows about memory: the proportional set size of every process that idle sandboxes add.

Other processes of the machine do not count, whatever they start meanwhile. A page of a guest's
memory file that QEMU has not touched since the template was copied is in no process' set: the
last row counts those as well.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
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
HELD: Final = "one more, with untouched pages"
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
    held: dict[int, float] = {}
    started: list[str] = []

    def measure(count: int) -> float:
        while len(started) > count:
            commands.run([subject.enclos, "rm", "-f", started.pop()])
        while len(started) < count:
            name = f"{_NAME}-{len(started)}"
            commands.run([subject.enclos, "run", "-d", "--name", name, IMAGE, "sleep", "1000"])
            started.append(name)
        time.sleep(_SETTLE_S)
        found = _sandbox_pids(root) - before
        sizes[count] = sum(pss_bytes(number, "Pss") for number in found) / 1e6
        held[count] = held_bytes(found) / 1e6
        return sizes[count]

    try:
        yield [
            *(Row(f"{count} idle", "MB", partial(measure, count)) for count in SIZES),
            Row(INCREMENT, "MB", partial(_increment, sizes)),
            Row(HELD, "MB", partial(_increment, held)),
        ]
    finally:
        for name in started:
            commands.run([subject.enclos, "rm", "-f", name])


def _increment(by_count: Mapping[int, float]) -> float:
    return (by_count[SIZES[-1]] - by_count[SIZES[0]]) / (SIZES[-1] - SIZES[0])


def held_bytes(pids: set[int]) -> int:
    """What processes take with all of their memory files, also the pages that nobody touched."""
    own = (pss_bytes(number, "Pss") - pss_bytes(number, "Pss_Shmem") for number in pids)
    return sum(own) + _memory_file_bytes(pids)


def _memory_file_bytes(pids: set[int]) -> int:
    """What is in memory of the memory files that the processes hold, each file once."""
    files: dict[int, int] = {}
    for number in pids:
        for link in _descriptors(number):
            with suppress(FileNotFoundError):
                if os.readlink(link).startswith("/memfd:"):
                    status = link.stat()
                    files[status.st_ino] = status.st_blocks * 512
    return sum(files.values())


def _descriptors(number: int) -> list[Path]:
    """None of a process that has ended."""
    with suppress(FileNotFoundError):
        return list(Path(f"/proc/{number}/fd").iterdir())
    return []


def _sandbox_pids(root: StateRoot) -> set[int]:
    """Supervisors and stand-ins, and everything that descends from them."""
    seeds = {records.load_sandbox(root, name).supervisor_pid for name in root.sandbox_ids()}
    seeds |= {records.load_container(root, name).pid for name in root.container_ids()}
    return families(seeds)


def families(seeds: set[int]) -> set[int]:
    """These processes and everything that descends from them."""
    parents = {number: pid.parent(number) for number in pids()}
    return {number for number in parents if _descends(number, parents, seeds)}


def _descends(number: int, parents: dict[int, int], seeds: set[int]) -> bool:
    while number > 1:
        if number in seeds:
            return True
        number = parents.get(number, 0)
    return False


def pids() -> list[int]:
    """Every process of the machine."""
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def pss_bytes(pid: int, name: str) -> int:
    """A line of what is its share; 0 for a process that has ended or is the kernel's."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{name}:"))
