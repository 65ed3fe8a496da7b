"""Notice the death of a sandbox's helpers: QEMU and virtiofsd are watched by pidfd."""

from __future__ import annotations

import asyncio
import os

from enclos import log
from enclos.errors import MachineFailed
from enclos.sandbox import ending
from enclos.sandbox.live import Sandbox

_TAIL_LINES = 8
_OWN_WORDS_S = 2.0
_HINT = "check its files: enclos assets verify"


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
            broken(sandbox, f"{name} ended unexpectedly", hint=_HINT)

    loop.add_reader(descriptor, ended)


def broken(sandbox: Sandbox, what: str, *, hint: str = "") -> None:
    """End a sandbox of whose machine a part is gone.

    One that is being started gets a moment to find that out: it knows better what to do about it.
    If it has failed or is being ended already, this is only what follows from that.
    """
    if sandbox.failed is not None or sandbox.ending:
        return
    if sandbox.ready.is_set():
        reason = _reason(sandbox, what)
        log.error("the sandbox is lost", reason=reason)
        ending.stop(sandbox, reason)
        return
    tail = sandbox.machine.tail() if sandbox.machine else ""
    error = MachineFailed(what, hint=hint, detail=tail)
    asyncio.get_running_loop().call_later(_OWN_WORDS_S, ending.fail, sandbox, error)


def _reason(sandbox: Sandbox, what: str) -> str:
    """`what`, with the guest's last console lines if it wrote any."""
    tail = sandbox.machine.tail().splitlines()[-_TAIL_LINES:] if sandbox.machine else []
    return "\n".join((what, *tail))
