"""Handles of processes that survive being written down: a pid with its start time.

A pid alone may name somebody else by the time it is read again. Signals and waits are in
`pidfd`; the fast verb `state` has its own few lines in `state/fast`.
"""

from __future__ import annotations

import os
from typing import Final

from enclos.structs import dataclass

_PF_EXITING: Final = 0x4
"""Of the flags in /proc/PID/stat (include/linux/sched.h): the task is being shut down."""


@dataclass(frozen=True, slots=True)
class ProcessRef:
    """A process by pid and start time (clock ticks since boot, field 22 of /proc/PID/stat)."""

    pid: int
    start: int

    def alive(self) -> bool:
        """Whether exactly this process still runs; a zombie does not."""
        return self.start > 0 and start_time(self.pid) == self.start

    def exiting(self) -> bool:
        """Whether it runs no more code of its own: it is on its way out, or gone."""
        fields = stat_fields(self.pid)
        return not self.alive() or not fields or bool(int(fields[6]) & _PF_EXITING)


def this_process() -> ProcessRef:
    """The calling process."""
    return ref(os.getpid())


def ref(pid: int) -> ProcessRef:
    """The process that has `pid` now; raises `ProcessLookupError` if none runs."""
    start = start_time(pid)
    if not start:
        raise ProcessLookupError(3, f"no running process {pid}")
    return ProcessRef(pid, start)


def start_time(pid: int) -> int:
    """Start time of the process in ticks; 0 if it does not exist, is dead or a zombie."""
    fields = stat_fields(pid)
    if len(fields) < 20 or fields[0] in {b"Z", b"X", b"x"}:
        return 0
    return int(fields[19])


def parent(pid: int) -> int:
    """Pid of the parent; 0 if the process does not exist."""
    fields = stat_fields(pid)
    return int(fields[1]) if len(fields) > 1 else 0


def children() -> set[int]:
    """This process' children, those that have ended and were not collected among them."""
    try:
        return {child for thread in os.listdir("/proc/self/task") for child in _of_thread(thread)}
    except FileNotFoundError:  # a thread that has ended, or no CONFIG_PROC_CHILDREN
        me = os.getpid()
        numbers = (int(name) for name in os.listdir("/proc") if name.isdecimal())
        return {number for number in numbers if parent(number) == me}


def _of_thread(thread: str) -> list[int]:
    with open(f"/proc/self/task/{thread}/children", "rb") as file:
        return [int(word) for word in file.read().split()]


def stat_fields(pid: int) -> list[bytes]:
    """/proc/PID/stat from the state on (field 3); empty if the process does not exist."""
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, ProcessLookupError):
        return []
    try:
        line = os.read(descriptor, 4096)
    except ProcessLookupError:
        return []  # ended between open and read
    finally:
        os.close(descriptor)
    return line[line.rindex(b")") + 2 :].split()  # the name may hold spaces and brackets
