"""An interface of a namespace that others live in: what the guest sends becomes sockets there.

passt does it, and nothing of the namespace is configured. One that ends by itself is told of, so
that the interface can be plugged in anew.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

from enclos import log
from enclos.linux import jail
from enclos.network.namespace import Namespace
from enclos.sandbox import release
from enclos.sandbox.live import Sandbox
from enclos.state import ledger
from enclos.tools import passt
from enclos.wire.rtnetlink import ETHERNET, Link

PASST_UID: Final = 64056
"""Unprivileged owner of passt: not QEMU's, so that neither can reach into the other."""
_MADE_UP_MAC: Final = "02:65:6e:63:6c:01"


async def plug(
    sandbox: Sandbox,
    namespace: Namespace,
    link: Link,
    *,
    slot: int,
    stack: ExitStack,
    addresses: tuple[str, ...],
    ended: Callable[[], None],
) -> None:
    """Plug `link` in at port `slot`; `stack` gives back what it takes, `ended` is called after.

    Raises `MachineFailed` if passt or QEMU refuse.
    """
    directory = sandbox.plan.directory
    output = os.open(directory / "helpers.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    stack.callback(os.close, output)
    sharing = passt.sharing(
        sandbox.plan.tool_root, namespace.descriptor, addresses, uid=PASST_UID, output=output
    )
    with ExitStack() as inner:
        helper = inner.enter_context(sharing)
        jail.confirm(helper.spawned)
        held = ledger.of_sandbox(directory)
        stack.enter_context(release.holding_process(held, "passt", helper.pid))
        stack.enter_context(inner.pop_all())
    _watch(sandbox, helper.pid, stack, ended)
    mac = link.mac if link.type == ETHERNET else _MADE_UP_MAC
    await sandbox.the_machine().plug_stream_nic(slot, mac, helper.connection.fileno())


def _watch(sandbox: Sandbox, pid: int, stack: ExitStack, ended: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    descriptor = os.pidfd_open(pid)
    stack.callback(os.close, descriptor)
    stack.callback(loop.remove_reader, descriptor)

    def told() -> None:
        loop.remove_reader(descriptor)
        if not sandbox.ending:
            log.error("passt ended, the network is plugged in anew", pid=pid)
            ended()

    loop.add_reader(descriptor, told)
