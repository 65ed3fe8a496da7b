"""Make a template: boot once without anything particular, shrink, save, put in force."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

from enclos import log
from enclos.errors import EnclosError, MachineFailed, TimedOut
from enclos.hypervisor.qemu import machine as qemu_machine
from enclos.hypervisor.qemu import process, template
from enclos.hypervisor.qemu.process import Sources
from enclos.hypervisor.qemu.template import Template
from enclos.linux import errand
from enclos.sandbox import boot, children
from enclos.sandbox.boot import BootPlan
from enclos.wire import messages as m
from enclos.wire.link import Handlers, Link


async def ensure(root: Path, key: str, plan: BootPlan) -> Template | None:
    """The template `key`, made now if there is none; None, with a log line, if it cannot be.

    Raises `TimedOut` if the guest never answered: another boot would not help.
    """
    found = template.find(root, key)
    if found is not None:
        return found
    try:
        with template.building(root, key) as work:
            return template.find(root, key) or await _make(root, key, work, plan)
    except TimedOut:
        raise
    except (EnclosError, OSError) as error:
        log.warning("no template, booting cold", error=error)
        return None


async def _make(root: Path, key: str, work: Path, plan: BootPlan) -> Template:
    with ExitStack() as stack:
        state = os.open(work / "state", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        stack.callback(os.close, state)
        ram = process.memory_file("enclos-template", plan.board.base_memory_bytes)
        stack.callback(os.close, ram)
        sources = Sources(plan.tool_root, plan.kernel, plan.initrd, save_state=state)
        qemu = stack.enter_context(process.started(plan.board, sources, ram=ram, share=None))
        await children.wait_arrived(qemu.spawned)
        machine = await qemu_machine.attach(qemu, restoring=False, timeout_s=plan.boot_timeout_s)
        link = Link(qemu.agent, Handlers(), name="agent")
        with boot.explained(machine):
            await link.call("hello", m.Nothing(), m.Hello, timeout_s=plan.boot_timeout_s)
            trimmed = await link.call("trim", m.Nothing(), m.Trimmed, timeout_s=plan.boot_timeout_s)
        await machine.save(timeout_s=plan.boot_timeout_s)
        link.close()
        await machine.close()
        made = await _commit(work, root, key, ram=ram, plan=plan)
    log.info("template made", key=key, touched=made.touched_bytes, zeroed=trimmed.zeroed_bytes)
    return made


async def _commit(work: Path, root: Path, key: str, *, ram: int, plan: BootPlan) -> Template:
    """Put it in force in a child: what the guest has touched takes a while to copy."""

    def body() -> None:
        template.commit(work, root, key, ram=ram)

    name = "the template could not be written"
    with errand.sent(name, body, keep=(ram,)) as saving:
        await children.wait_done(saving, timeout_s=plan.boot_timeout_s)
    made = template.find(root, key)
    if made is None:
        raise MachineFailed(f"template {key} is not there although it was written")
    return made
