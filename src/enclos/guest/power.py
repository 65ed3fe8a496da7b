"""Orderly ends: flushing the disks, and switching the machine off."""

from __future__ import annotations

import os
import signal
from typing import Final, NoReturn

from enclos.guest import console, share
from enclos.guest.agent import Agent
from enclos.linux import libc
from enclos.wire.messages import Nothing

_GRACE_S: Final = 0.02
_BUSYBOX: Final = "/usr/bin/busybox"


async def sync(agent: Agent, _: Nothing) -> Nothing:
    """Write out everything dirty."""
    await flush(agent)
    return Nothing()


async def flush(agent: Agent) -> None:
    """Sync by another process: it may take long, and the streams must go on.

    Mostly there is nothing to do, since virtiofs writes through: only what was written to a
    mapping can be dirty. Then even to start a process would be the longer way.
    """
    if not _dirty():
        return
    pid = os.posix_spawn(_BUSYBOX, ["sync"], {})
    await agent.reaper.ended(pid)


def _dirty() -> bool:
    """Whether a page waits to be written, or is being written, to any file system."""
    with open("/proc/meminfo", encoding="ascii") as file:
        figures = dict(line.split(":", 1) for line in file)
    return any(int(figures[name].split()[0]) for name in ("Dirty", "Writeback"))


async def poweroff(agent: Agent, _: Nothing) -> Nothing:
    """Answer, then switch off."""
    agent.loop.later(_GRACE_S, lambda: _go(agent))
    return Nothing()


def _go(agent: Agent) -> NoReturn:
    agent.channel.drain()
    off()


def off() -> NoReturn:
    """Kill everybody, write out everything, and end; returns to nobody."""
    try:
        os.kill(-1, signal.SIGKILL)
    except ProcessLookupError:
        console.say("nobody left to kill")
    os.sync()
    share.unmount()
    while True:
        libc.reboot(libc.RB_POWER_OFF)
