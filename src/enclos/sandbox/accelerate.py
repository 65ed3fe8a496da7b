"""Which accelerator to use: KVM where a real guest has been seen to boot under it, else TCG.

`/dev/kvm` opening proves nothing: there are hosts where it opens and no stock kernel prints a
line. So the real guest is booted under it once, and the verdict is remembered with the host's
facts until the kernel, QEMU or CPU changes.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import Final

from enclos.assets.store import Assets
from enclos.config import facts
from enclos.config.facts import HostFacts, Verdict
from enclos.config.settings import Accelerator, Settings
from enclos.errors import EnclosError
from enclos.hypervisor.qemu.argv import Board

PROBE_TIMEOUT_S: Final = 10
"""A guest under working KVM says hello in about one."""
_MIB: Final = 1 << 20


def choose(settings: Settings, host: HostFacts, assets: Assets) -> str:
    """`kvm` or `tcg`; may boot a guest to find out, the first time on a host."""
    if settings.accelerator is not Accelerator.AUTO:
        return settings.accelerator.value
    return "kvm" if verdict(settings, host, assets).usable else "tcg"


def verdict(settings: Settings, host: HostFacts, assets: Assets) -> Verdict:
    """What is known about KVM here, found out now if nothing is."""
    key = facts.verdict_key(host, assets.qemu_version)
    known = facts.recall(settings.data_root, key)
    if known is not None:
        return known
    if not host.kvm_device:
        return Verdict(usable=False, reason="/dev/kvm cannot be opened", tried_at_s=0)
    reason = _try_kvm(assets)
    return facts.remember(
        settings.data_root, key, usable=not reason, reason=reason or "a guest booted under it"
    )


def _try_kvm(assets: Assets) -> str:
    """Boot the guest under KVM; empty if its agent answers, else what went wrong."""
    import asyncio

    try:
        asyncio.run(_boot(assets))
    except (EnclosError, OSError) as error:
        return str(error)
    return ""


async def _boot(assets: Assets) -> None:
    from enclos.hypervisor.qemu import machine, process
    from enclos.sandbox import children
    from enclos.wire import messages as m
    from enclos.wire.link import Handlers, Link

    board = Board("kvm", 256 * _MIB, 1024 * _MIB, 1)
    sources = process.Sources(assets.tool_root, assets.vmlinux, assets.initrd)
    with ExitStack() as stack:
        ram = process.memory_file("enclos-probe", board.base_memory_bytes)
        stack.callback(os.close, ram)
        qemu = stack.enter_context(process.started(board, sources, ram=ram, share=None))
        await children.wait_arrived(qemu.spawned)
        attached = await machine.attach(qemu, restoring=False, timeout_s=PROBE_TIMEOUT_S)
        link = Link(qemu.agent, Handlers(), name="agent")
        try:
            await link.call("hello", m.Nothing(), m.Hello, timeout_s=PROBE_TIMEOUT_S)
        finally:
            link.close()
            await attached.close()
