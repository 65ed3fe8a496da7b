"""The supervisor's children waited for as steps of its loop: it answers everybody meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from typing import Final

from enclos.linux import errand, jail
from enclos.linux.errand import Errand
from enclos.linux.jail import Spawned

_REAP_S: Final = 60
"""For the kernel to end a process; it has memory to give back first."""


async def wait_arrived(spawned: Spawned) -> None:
    """Wait until a program runs in its jail; raises `MachineFailed` with the step that failed."""
    await _wait_readable(spawned.status.fileno(), timeout_s=jail.ARRIVAL_S)
    jail.confirm(spawned, timeout_s=0)


async def wait_done(work: Errand, *, timeout_s: float) -> None:
    """Wait until an errand is done; raises `MachineFailed` with the reason if it failed."""
    await _wait_readable(work.report.fileno(), timeout_s=timeout_s)
    errand.collect(work)


async def reap(pid: int) -> None:
    """Kill a child and collect it, as `jail.reap` does; out of descriptors it blocks as well."""
    try:
        if os.waitpid(pid, os.WNOHANG)[0] != 0:
            return
    except ChildProcessError:
        return  # collected before
    os.kill(pid, signal.SIGKILL)
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        jail.reap(pid)
        return
    try:
        await _wait_readable(descriptor, timeout_s=_REAP_S)
    finally:
        os.close(descriptor)
    jail.reap(pid)


async def _wait_readable(descriptor: int, *, timeout_s: float) -> None:
    """Until there is something to read, or the time is over: the reader tells which."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await readable.wait()
    finally:
        loop.remove_reader(descriptor)
