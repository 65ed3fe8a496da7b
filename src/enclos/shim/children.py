"""The shim's children: verbs at work, stand-ins, and whatever hooks and loggers leave running.

A shim is the reaper of all that is orphaned below it, so it collects everybody who ends and is
nobody else's. A container's init ends only when all that stood in its pid namespace have been.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import suppress

from enclos.linux import errand, pid
from enclos.shim import worker
from enclos.shim.tasks import Shim


async def run(shim: Shim, body: Callable[[], str], *, keep: Sequence[int] = ()) -> str:
    """What `body` returns, run in a child (`worker.run`), whose orphans are ours from then on."""
    try:
        return await worker.run(shim.mounts, body, keep=keep)
    finally:
        adopt(shim)


def adopt(shim: Shim) -> None:
    """Have every child that nobody waits for collected as soon as it ends."""
    for child in pid.children() - worker.running - errand.running - shim.adopted:
        _collect(shim, child)


def _collect(shim: Shim, child: int) -> None:
    try:
        descriptor = os.pidfd_open(child)
    except ProcessLookupError:
        return  # another reaper was nearer
    loop = asyncio.get_running_loop()
    shim.adopted.add(child)

    def ended() -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        with suppress(ChildProcessError):
            os.waitpid(child, os.WNOHANG)
        shim.adopted.discard(child)
        adopt(shim)  # its own children have become ours

    loop.add_reader(descriptor, ended)
