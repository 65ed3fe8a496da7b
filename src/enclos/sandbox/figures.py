"""Questions and small requests a supervisor passes on to the agent, and what it knows itself."""

from __future__ import annotations

from typing import Final

from enclos.sandbox.live import Sandbox
from enclos.wire import control as c
from enclos.wire import messages as m

TIMEOUT_S: Final = 60


async def stats(sandbox: Sandbox, request: c.Named) -> m.Stats:
    """A container's cgroup files in the guest."""
    sandbox.container(request.id)
    return await sandbox.agent().call("stats", m.Target(request.id), m.Stats, timeout_s=TIMEOUT_S)


async def processes(sandbox: Sandbox, request: c.Named) -> m.Processes:
    """A container's process table in the guest."""
    sandbox.container(request.id)
    return await sandbox.agent().call(
        "processes", m.Target(request.id), m.Processes, timeout_s=TIMEOUT_S
    )


async def resize(sandbox: Sandbox, request: m.Resize) -> None:
    """Tell a terminal its size."""
    sandbox.container(request.id).process(request.exec_id)
    await sandbox.agent().call("resize", request, m.Nothing, timeout_s=TIMEOUT_S)


async def status(sandbox: Sandbox, _: m.Nothing) -> c.Status:
    """What the sandbox is, and where its start spent its time."""
    plan, launched = sandbox.plan, sandbox.launched
    pids: dict[str, int] = {}
    if launched is not None:
        pids["qemu"] = launched.qemu.pid
        pids["virtiofsd"] = launched.share.pid
    return c.Status(
        id=plan.id,
        accelerator=plan.board.accelerator,
        template=plan.template.key if plan.template is not None else "",
        memory_bytes=plan.memory_bytes,
        vcpus=plan.vcpus,
        kernel=sandbox.kernel,
        phases=dict(sandbox.phases.marks),
        pids=pids,
        console=sandbox.machine.tail() if sandbox.machine is not None else "",
    )
