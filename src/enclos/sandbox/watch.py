"""Notice the death of a sandbox's helpers: QEMU and virtiofsd are watched by pidfd."""

from __future__ import annotations

import asyncio
import os

from enclos import log
from enclos.errors import MachineFailed
from enclos.sandbox import ending
from enclos.sandbox.live import Sandbox

_TAIL_LINES = 8


def children(sandbox: Sandbox) -> None:
    """End the sandbox when one of its helpers ends before it."""
    launched = sandbox.launched
    if launched is None:
        return
    _watch(sandbox, "QEMU", launched.qemu.pid)
    _watch(sandbox, "virtiofsd", launched.share.pid)


def _watch(sandbox: Sandbox, name: str, pid: int) -> None:
    loop = asyncio.get_running_loop()
    descriptor = os.pidfd_open(pid)

    def ended() -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        if not sandbox.ending:
            log.error("helper ended", helper=name, pid=pid)
            _fail(sandbox, name)

    loop.add_reader(descriptor, ended)


def _fail(sandbox: Sandbox, name: str) -> None:
    what = f"{name} ended unexpectedly"
    if not sandbox.ready.is_set():
        tail = sandbox.machine.tail() if sandbox.machine else ""
        hint = "check its files: enclos assets verify"
        sandbox.failed = MachineFailed(what, hint=hint, detail=tail)
    ending.stop(sandbox, reason(sandbox, what))


def reason(sandbox: Sandbox, what: str) -> str:
    """`what`, with the guest's last console lines if it wrote any."""
    tail = sandbox.machine.tail().splitlines()[-_TAIL_LINES:] if sandbox.machine else []
    return "\n".join((what, *tail))
