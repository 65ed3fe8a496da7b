"""The process table of a container, from /proc."""

from __future__ import annotations

import os
import time
from itertools import islice
from typing import Final

from enclos.guest import cgroups
from enclos.guest.agent import Agent
from enclos.guest.records import container
from enclos.wire.messages import Process, Processes, Target

_MAX_ROWS: Final = 4096
_MAX_COMMAND_BYTES: Final = 4096
_PAGE: Final = os.sysconf("SC_PAGESIZE")
_TICKS_PER_SECOND: Final = 100
_PTS_MAJORS: Final = range(136, 144)


async def processes(agent: Agent, request: Target) -> Processes:
    """One row for each process of the container."""
    owner = container(agent.containers, request.id)
    found = (row(pid) for pid in islice(cgroups.pids(owner.cgroup), _MAX_ROWS))
    rows = tuple(one for one in found if one is not None)
    return Processes(rows, int(time.clock_gettime(time.CLOCK_BOOTTIME) * _TICKS_PER_SECOND))


def row(pid: int) -> Process | None:
    """A process as the table shows it; None if it ended while we looked."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            head, _, tail = file.read().rpartition(b")")
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            command = file.read(_MAX_COMMAND_BYTES)
        uid = os.stat(f"/proc/{pid}").st_uid
    except (FileNotFoundError, ProcessLookupError):
        return None
    words = tail.split()
    name = head.partition(b"(")[2]
    shown = command.rstrip(b"\0").replace(b"\0", b" ") or b"[" + name + b"]"
    return Process(
        pid=pid,
        parent=int(words[1]),
        uid=uid,
        command=shown.decode("utf-8", "replace"),
        cpu_ticks=int(words[11]) + int(words[12]),
        start_ticks=int(words[19]),
        rss_bytes=int(words[21]) * _PAGE,
        state=words[0].decode("ascii"),
        terminal=terminal(int(words[4])),
    )


def terminal(number: int) -> str:
    """Name of a device number, as ps shows it."""
    major, minor = os.major(number), os.minor(number)
    if major in _PTS_MAJORS:
        return f"pts/{(major - _PTS_MAJORS.start) * 256 + minor}"
    return "?"
