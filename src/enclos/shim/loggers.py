"""Programs that log a container's output: waited for until they are ready, and at the end."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from typing import Final

from enclos import log
from enclos.errors import TimedOut
from enclos.linux import pidfd
from enclos.linux.pid import ProcessRef
from enclos.shim.stdio import Stdio

READY_S: Final = 10
"""For it to say that it is ready."""
_GRACE_S: Final = 10
_TERMINATED_S: Final = 2


async def wait_ready(streams: Stdio) -> None:
    """Wait until the program, if there is one, has closed its third pipe or written to it.

    Raises `TimedOut`.
    """
    if streams.ready < 0:
        return
    if not await _wait_readable(streams.ready, READY_S):
        raise TimedOut(f"the logging program was not ready in {READY_S} s")
    os.close(streams.ready)
    streams.ready = -1


async def end(logger: ProcessRef) -> None:
    """Let the program write what it has, then terminate it, then kill it."""
    descriptor = pidfd.open_verified(logger)
    if descriptor is None:
        _reap(logger)
        return
    try:
        if await _wait_readable(descriptor, _GRACE_S):
            return
        log.warning("logging program terminated", pid=logger.pid)
        pidfd.send_signal(logger, signal.SIGTERM)
        if not await _wait_readable(descriptor, _TERMINATED_S):
            pidfd.send_signal(logger, signal.SIGKILL)
    finally:
        os.close(descriptor)
        _reap(logger)


def _reap(logger: ProcessRef) -> None:
    """We have adopted it, and somebody may have been quicker."""
    with suppress(ChildProcessError):
        os.waitpid(logger.pid, os.WNOHANG)


async def _wait_readable(descriptor: int, timeout_s: float) -> bool:
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        async with asyncio.timeout(timeout_s):
            await readable.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(descriptor)
    return True
