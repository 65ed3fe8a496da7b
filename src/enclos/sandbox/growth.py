"""What a supervisor does for new limits: let the machine grow, then tell the guest."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from enclos.errors import WrongState
from enclos.sandbox.live import Sandbox
from enclos.state import records
from enclos.wire import control as c
from enclos.wire import messages as m

TIMEOUT_S: Final = 60


async def update(sandbox: Sandbox, request: c.Update) -> None:
    """Change a container's limits in the guest, in a machine that is large enough for them."""
    if sandbox.container(request.id).init.ended is not None:
        raise WrongState(f"container {request.id}: container not running")
    await grow(sandbox, request.machine_bytes, request.machine_vcpus)
    limits = m.Update(request.id, request.resources)
    await sandbox.agent().call("update", limits, m.Nothing, timeout_s=TIMEOUT_S)


async def grow(sandbox: Sandbox, memory_bytes: int, vcpus: int) -> None:
    """Give a running machine so much memory and so many CPUs in all, if it has less.

    There are no more CPUs than it has in reserve.
    """
    plan, board = sandbox.plan, sandbox.plan.board
    size = max(memory_bytes, plan.memory_bytes)
    count = max(plan.vcpus, min(vcpus, board.vcpus + board.spare_vcpus))
    if (size, count) == (plan.memory_bytes, plan.vcpus) or sandbox.machine is None:
        return
    extra = size - board.base_memory_bytes
    if size > plan.memory_bytes:
        await sandbox.machine.plug_memory(extra)
    wait = m.Online(extra, count, timeout_ms=int(plan.agent_timeout_s * 1000))
    await sandbox.agent().call("online", wait, m.Online, timeout_s=plan.agent_timeout_s + 5)
    sandbox.plan = replace(plan, memory_bytes=size, vcpus=count)
    record = records.load_sandbox(sandbox.root, plan.id)
    records.save_sandbox(sandbox.root, replace(record, memory_bytes=size, vcpus=count))
