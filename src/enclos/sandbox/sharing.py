"""An interface by passt: what the guest sends becomes sockets of a namespace of the host.

That is one that others live in, whose addresses the guest has, or the supervisor's own, for a
guest in a private network (`uplinks`). Nothing is configured there. A passt that ends by itself
is told of, so that the interface can be plugged in anew.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

from enclos import log
from enclos.plan import uplink
from enclos.sandbox import children, helperlog, release
from enclos.sandbox.helperlog import Output
from enclos.sandbox.live import Sandbox
from enclos.state import ledger
from enclos.structs import dataclass
from enclos.tools import passt
from enclos.tools.passt import Passt
from enclos.wire.places import SPARE_SLOT
from enclos.wire.rtnetlink import ETHERNET, Link

PASST_UID: Final = 64056
"""Unprivileged owner of passt: not QEMU's, so that neither can reach into the other."""
_BRIEF_S: Final = 2.0
"""One that lived no longer has something in its way: wait so long before the next."""


@dataclass(frozen=True, slots=True)
class Helper:
    """A passt under way; `stack` gives it back."""

    process: Passt
    output: Output
    since: float
    stack: ExitStack


def _stream(sandbox: Sandbox) -> socket.socket | None:
    """The far end of the interface that the machine has from its start, for the first passt."""
    spare = sandbox.launched.spare if sandbox.launched is not None else None
    return spare.take_stream() if spare is not None else None


async def begin(
    sandbox: Sandbox, network: int, options: tuple[str, ...], *, low_ports: bool = False
) -> Helper:
    """Start a passt in the namespace behind `network`; raises `MachineFailed`."""
    directory = sandbox.plan.directory
    with ExitStack() as stack:
        output = stack.enter_context(helperlog.heard("passt"))
        serving = passt.serving(
            sandbox.plan.tool_root, network, options,
            uid=PASST_UID, output=output.writer, low_ports=low_ports,
            connection=_stream(sandbox),
        )  # fmt: skip
        with ExitStack() as inner:
            process = inner.enter_context(serving)
            output.given()
            output.follow()
            await children.wait_arrived(process.spawned)
            held = ledger.of_sandbox(directory)
            stack.enter_context(release.holding_process(held, "passt", process.pid))
            stack.enter_context(inner.pop_all())
        return Helper(process, output, time.monotonic(), stack.pop_all())


async def plug(sandbox: Sandbox, helper: Helper, link: Link, *, ended: Callable[[], None]) -> int:
    """Plug `link` in with `helper` behind it; its slot. `ended` is called when that is gone.

    Raises `MachineFailed` if QEMU refuses, `InvalidRequest` if there is no slot left.
    """
    _watch(sandbox, helper, ended)
    mac = link.mac if link.type == ETHERNET else uplink.MAC
    connection = helper.process.connection
    if connection is None:
        return SPARE_SLOT
    return await sandbox.the_machine().plug_stream_nic(mac, connection.fileno())


def _watch(sandbox: Sandbox, helper: Helper, ended: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    pid = helper.process.pid
    descriptor = os.pidfd_open(pid)
    helper.stack.callback(os.close, descriptor)
    helper.stack.callback(loop.remove_reader, descriptor)

    def told() -> None:
        loop.remove_reader(descriptor)
        if not sandbox.ending:
            log.error("passt ended, the network is plugged in anew", pid=pid)
            lived_s = time.monotonic() - helper.since
            loop.call_later(0 if lived_s > _BRIEF_S else _BRIEF_S, ended)

    loop.add_reader(descriptor, told)
