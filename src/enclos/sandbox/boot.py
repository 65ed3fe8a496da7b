"""Boot a sandbox's VM: act out a `BootPlan` until the agent has shown who it is.

`launch` is synchronous and imports little: virtiofsd and QEMU start while the supervisor still
imports what it needs to talk to them. `settle` waits for both and leaves a machine whose guest
has an identity of its own, its share mounted, its memory and CPUs online.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from enclos.errors import GuestFailed, Lost, MachineFailed, TimedOut
from enclos.hypervisor.qemu import process
from enclos.hypervisor.qemu.argv import SHARE_TAG, Board
from enclos.hypervisor.qemu.process import Qemu, Sources
from enclos.hypervisor.qemu.template import Template
from enclos.linux import errand, files, libc
from enclos.linux.cgroup import group
from enclos.linux.errand import Errand
from enclos.sandbox import helperlog, hostgroup, release
from enclos.sandbox import spare as sparing
from enclos.sandbox.helperlog import Output
from enclos.sandbox.spare import Spare, Wish
from enclos.state import ledger
from enclos.structs import dataclass
from enclos.tools import virtiofsd
from enclos.tools.virtiofsd import Virtiofsd

if TYPE_CHECKING:
    from enclos.hypervisor.qemu.machine import QemuMachine
    from enclos.wire.link import Link

ANSWERED: Final = "agent answers"
"""The phase that shows that the guest runs."""
_SHARE_OPTIONS: Final = "mode=755,size=4m,nr_inodes=8192"
_SLOW: Final = "if the host is only slow, raise boot_timeout_s or agent_timeout_s"
_DEAD: Final = "check the kernel and the initrd: enclos assets verify"


@dataclass(frozen=True, slots=True)
class BootPlan:
    """All that a boot needs to know. `memory_bytes` and `vcpus` are what the VM has in use;
    `cgroup` is the path of the host's control group that its processes belong to, empty for the
    caller's own. `interface` is the one that it has from its start."""

    id: str
    directory: Path
    tool_root: Path
    kernel: Path
    initrd: Path
    agent_version: str
    board: Board
    template: Template | None
    memory_bytes: int
    vcpus: int
    cgroup: str
    hostname: str
    boot_timeout_s: float
    agent_timeout_s: float
    interface: Wish | None = None

    @property
    def share(self) -> Path:
        """The directory the guest sees by virtiofs."""
        return self.directory / "share"


class Phases:
    """Milliseconds from the start to each named moment."""

    def __init__(self) -> None:
        self._start = time.monotonic_ns()
        self.marks: Final[dict[str, float]] = {}

    def mark(self, name: str) -> None:
        """Note that `name` is done."""
        self.marks[name] = round((time.monotonic_ns() - self._start) / 1e6, 2)


@dataclass(frozen=True, slots=True)
class Launched:
    """Processes under way; `filler` copies the template's RAM, None if there is nothing to copy.

    `output` is virtiofsd's, `spare` the interface that the machine has from its start, if any.
    """

    qemu: Qemu
    share: Virtiofsd
    output: Output
    filler: Errand | None = None
    spare: Spare | None = None


def make_share(path: Path, stack: ExitStack) -> None:
    """The share directory: a small tmpfs in this process' mount namespace, propagating.

    It ends with the namespace as well, so a supervisor that is killed leaves no mount behind.
    """
    path.mkdir(mode=0o700, exist_ok=True)
    flags = libc.MS_NOSUID | libc.MS_NODEV
    libc.mount("enclos", os.fspath(path), "tmpfs", flags, _SHARE_OPTIONS)
    stack.callback(libc.umount2, os.fspath(path), libc.MNT_DETACH)
    libc.mount("", os.fspath(path), "", libc.MS_SHARED, "")


def launch(plan: BootPlan, stack: ExitStack, phases: Phases) -> Launched:
    """Start virtiofsd and QEMU and fill the RAM; everything is released by `stack`.

    They live in the container's control group, and so does who fills the RAM: a page is charged
    to who touches it first.
    """
    with hostgroup.entrance(plan.cgroup) as entrance:
        return _launch(plan, stack, phases, entrance=entrance)


def _launch(
    plan: BootPlan, stack: ExitStack, phases: Phases, *, entrance: Sequence[int]
) -> Launched:
    output = stack.enter_context(helperlog.heard("virtiofsd"))
    share = stack.enter_context(
        virtiofsd.serving(
            plan.tool_root,
            plan.share,
            plan.directory / "virtiofsd.sock",
            output=output.writer,
            entrance=entrance,
        )
    )
    output.given()
    ram = process.memory_file("enclos-ram", plan.board.base_memory_bytes)
    stack.callback(os.close, ram)
    state = plan.template.state if plan.template is not None else None
    sources = Sources(plan.tool_root, plan.kernel, plan.initrd, state=state)
    spare = stack.enter_context(sparing.made(plan.interface, queues=plan.board.vcpus))
    nic = spare.nic if spare is not None else None
    qemu = stack.enter_context(
        process.started(
            plan.board, sources, ram=ram, share=share.connection, nic=nic, entrance=entrance
        )
    )
    if spare is not None:
        spare.given()
    held = ledger.of_sandbox(plan.directory)
    release.record_process(held, "virtiofsd", share.pid)
    release.record_process(held, "qemu", qemu.pid)
    filler = None
    if plan.template is not None:
        filler = stack.enter_context(filling(ram, plan.template, entrance))
    phases.mark("spawned")
    return Launched(qemu, share, output, filler, spare)


@contextmanager
def filling(ram: int, template: Template, entrance: Sequence[int]) -> Iterator[Errand]:
    """A child that copies the template's RAM while QEMU and we get ready."""

    def copy() -> None:
        group.enter(entrance)
        source = os.open(template.ram, os.O_RDONLY | os.O_CLOEXEC)
        files.copy_sparse(source, ram)

    name = "the template's memory could not be copied"
    with errand.sent(name, copy, keep=(ram, *entrance)) as filler:
        yield filler


async def attach(launched: Launched, plan: BootPlan, phases: Phases) -> QemuMachine:
    """The machine, running; raises `MachineFailed` with the console's tail."""
    from enclos.hypervisor.qemu import machine
    from enclos.sandbox import children

    launched.output.follow()
    await children.wait_arrived(launched.share.spawned)
    await children.wait_arrived(launched.qemu.spawned)
    if launched.filler is not None:
        await children.wait_done(launched.filler, timeout_s=plan.boot_timeout_s)
        phases.mark("memory copied")
    attached = await machine.attach(
        launched.qemu, restoring=plan.template is not None, timeout_s=plan.boot_timeout_s
    )
    phases.mark("machine runs")
    return attached


@contextmanager
def explained(machine: QemuMachine) -> Iterator[None]:
    """Give the errors of a guest that does not answer the console's last lines, and a hint."""
    try:
        yield
    except TimedOut as error:
        raise TimedOut(error.message, hint=_SLOW, detail=machine.tail()) from error
    except Lost as error:
        raise MachineFailed(
            "the guest ended while it was started", hint=_DEAD, detail=machine.tail()
        ) from error


async def settle(plan: BootPlan, machine: QemuMachine, link: Link, phases: Phases) -> str:
    """Give the guest its identity and its share; returns the guest's kernel release.

    Raises `GuestFailed` for an agent of another version, `TimedOut` for a guest that never
    answers and `MachineFailed` for one that dies, with the console's last lines.
    """
    with explained(machine):
        return await _settle(plan, machine, link, phases)


async def _settle(plan: BootPlan, machine: QemuMachine, link: Link, phases: Phases) -> str:
    from enclos.sandbox import clock
    from enclos.wire import messages as m

    hello = await link.call("hello", m.Nothing(), m.Hello, timeout_s=plan.boot_timeout_s)
    phases.mark(ANSWERED)
    if hello.version != plan.agent_version:
        raise GuestFailed(
            f"the guest's agent is version {hello.version[:12]}, this is {plan.agent_version[:12]}",
            hint="run: enclos assets build",
        )
    await _identify(plan, link)
    await clock.put_right(link, timeout_s=plan.agent_timeout_s)
    phases.mark("identity")
    await _size(plan, machine, link, phases)
    await link.call("rescan", m.Nothing(), m.Devices, timeout_s=plan.agent_timeout_s)
    phases.mark("rescan")
    await link.call("share", m.Share(SHARE_TAG), m.Nothing, timeout_s=plan.agent_timeout_s)
    phases.mark("share mounted")
    return hello.kernel


async def _identify(plan: BootPlan, link: Link) -> None:
    """Entropy, clock, host name and machine id, before anything else can run in the clone."""
    from enclos.wire import messages as m

    identity = m.Identity(
        entropy=os.urandom(64).hex(),
        time_ns=time.time_ns(),
        hostname=plan.hostname,
        machine_id=os.urandom(16).hex(),
    )
    await link.call("identify", identity, m.Nothing, timeout_s=plan.agent_timeout_s)


async def _size(plan: BootPlan, machine: QemuMachine, link: Link, phases: Phases) -> None:
    from enclos.wire import messages as m

    extra = max(0, plan.memory_bytes - plan.board.base_memory_bytes)
    if extra:
        await machine.plug_memory(extra)
        online = m.Online(extra, plan.vcpus, timeout_ms=int(plan.agent_timeout_s * 1000))
        await link.call("online", online, m.Online, timeout_s=plan.agent_timeout_s + 5)
        phases.mark("memory online")
