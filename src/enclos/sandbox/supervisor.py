"""The supervisor process: owns one sandbox from its boot to its end.

Forked by whoever creates the first container (decision 1), it leaves the caller's session and
descriptors, takes a mount namespace of its own, and lives until the sandbox ends. It holds every
resource on one exit stack; its children die with it.
"""

from __future__ import annotations

import os
import socket
from contextlib import AsyncExitStack, ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from enclos import log
from enclos.errors import EnclosError, MachineFailed, TimedOut
from enclos.hypervisor.qemu import template
from enclos.linux import errand, libc, pid, unixsocket
from enclos.sandbox import boot, daemon, release
from enclos.sandbox.boot import BootPlan, Launched, Phases
from enclos.state import ledger, records
from enclos.state.ledger import Entry, Fields, Ledger
from enclos.state.store import StateRoot
from enclos.structs import dataclass
from enclos.wire.control import SOCKET_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from enclos.sandbox.live import Sandbox

_DRAIN_S: Final = 5
_LEAVE_S: Final = 240
"""For a container to leave its network, waiting for others that do so at the moment."""
_BACKLOG: Final = 64
_LONELY_S: Final = 20
_AGAIN: Final = "its template is now removed: try again, and the start makes a new one"


@dataclass(frozen=True, slots=True)
class Start:
    """What a supervisor is started with."""

    plan: BootPlan
    root: StateRoot
    templates: Path
    template_key: str
    """Empty where no template is wanted."""


class Front(Protocol):
    """A front end that lives in the supervisor's process, as containerd's shim does."""

    async def serve(self, sandbox: Sandbox) -> None:
        """Take requests from now on: called first in the supervisor's loop."""
        ...

    async def outlive(self) -> None:
        """Answer on for as long as anybody may ask: called when the sandbox has been released."""
        ...


class WaitingFront(Front, Protocol):
    """A front end that hears only later what is to be started, if anything is."""

    async def wait_start(self) -> Start | None:
        """Take requests until it is known; None if nothing is to be. Called first of all."""
        ...


def fork(
    start: Start, make_front: Callable[[], Front] | None = None, *, descriptors: Sequence[int] = ()
) -> None:
    """Start a supervisor; its socket takes connections when this returns.

    A front end is made over there, while QEMU starts; of the caller's descriptors it has those in
    `descriptors`.
    """
    listener = unixsocket.listen(start.plan.directory, SOCKET_NAME, backlog=_BACKLOG)

    def body(outside: int) -> None:
        daemon.write_log(start.plan.directory / daemon.LOG)
        _run(start, listener, make_front, outside=outside)

    daemon.fork(body, {listener.fileno(), *descriptors})
    listener.close()


def fork_waiting(make_front: Callable[[], WaitingFront], *, descriptors: Sequence[int]) -> None:
    """Start a process that will be a supervisor as soon as its front end knows what of."""
    daemon.fork(lambda outside: _run_waiting(make_front, outside=outside), set(descriptors))


def _run(
    start: Start,
    listener: socket.socket,
    make_front: Callable[[], Front] | None,
    *,
    outside: int,
) -> None:
    with ExitStack() as stack:
        begun = _begin(start, listener, stack, outside=outside)
        import asyncio  # late, as what front ends import: QEMU starts meanwhile

        front = make_front() if make_front is not None else None
        asyncio.run(_live(begun.sandbox(), start, stack, listener=listener, front=front))


def _run_waiting(make_front: Callable[[], WaitingFront], *, outside: int) -> None:
    import asyncio

    front = make_front()

    async def body() -> None:
        start = await front.wait_start()
        if start is None:
            return
        daemon.write_log(start.plan.directory / daemon.LOG)
        listener = unixsocket.listen(start.plan.directory, SOCKET_NAME, backlog=_BACKLOG)
        begun = _begin(start, listener, stack, outside=outside)
        await _live(begun.sandbox(), start, stack, listener=listener, front=front)

    with ExitStack() as stack:
        asyncio.run(body())


@dataclass(frozen=True, slots=True)
class _Begun:
    """A machine under way, or why it is not."""

    plan: BootPlan
    root: StateRoot
    phases: Phases
    launched: Launched | None
    failed: EnclosError | None
    outside: int

    def sandbox(self) -> Sandbox:
        """The same for those who serve it; imports what QEMU's start has not to wait for."""
        from enclos.sandbox.live import Sandbox

        self.phases.mark("imports")
        return Sandbox(
            self.plan,
            self.root,
            self.phases,
            launched=self.launched,
            failed=self.failed,
            outside=self.outside,
        )


def _begin(start: Start, listener: socket.socket, stack: ExitStack, *, outside: int) -> _Begun:
    """Start the machine, unless its template has to be made first; `stack` releases all."""
    phases, plan = Phases(), start.plan
    boot.make_share(plan.share, stack)
    stack.enter_context(listener)
    if start.template_key:
        plan = replace(plan, template=template.find(start.templates, start.template_key))
    _write_record(start.root, plan)
    launched: Launched | None = None
    failed: EnclosError | None = None
    if plan.template is not None or not start.template_key:
        try:
            launched = boot.launch(plan, stack, phases)
        except EnclosError as error:
            failed = error
        except OSError as error:
            failed = MachineFailed(f"cannot start the sandbox: {error}")
    return _Begun(plan, start.root, phases, launched, failed, outside)


def _write_record(root: StateRoot, plan: BootPlan) -> None:
    """Note who supervises what, so that others can tell."""
    me = os.getpid()
    records.save_sandbox(
        root,
        records.SandboxRecord(
            id=plan.id,
            supervisor_pid=me,
            supervisor_start=pid.start_time(me),
            created=records.now(),
            accelerator=plan.board.accelerator,
            template=plan.template.key if plan.template else "",
            vcpus=plan.vcpus,
            memory_bytes=plan.memory_bytes,
            kernel="",
        ),
    )


async def _live(
    sandbox: Sandbox,
    start: Start,
    stack: ExitStack,
    *,
    listener: socket.socket,
    front: Front | None,
) -> None:
    import asyncio

    from enclos.sandbox import children, ending, service

    if front is not None:
        sandbox.hosted = True
        await front.serve(sandbox)
    service.listen(sandbox, listener)
    starting = asyncio.get_running_loop().create_task(_boot(sandbox, start, stack))
    asyncio.get_running_loop().call_later(_LONELY_S, _end_if_lonely, sandbox)
    await sandbox.finish.wait()
    starting.cancel()
    _tell_not_started(sandbox)
    if sandbox.link is not None:
        sandbox.link.close()
    if sandbox.launched is not None:
        # before QMP: a QEMU that hangs would not part
        await children.reap(sandbox.launched.qemu.pid)
    await asyncio.wait({starting}, timeout=_DRAIN_S)  # it may be waiting for what goes next
    if sandbox.machine is not None:
        await sandbox.machine.close()
    asyncio.get_running_loop().remove_reader(listener.fileno())
    whole = await _release(sandbox, stack)
    for container in list(sandbox.containers.values()):
        await ending.finish(sandbox, container)
    if whole:
        _forget(sandbox)
    for link in list(sandbox.clients):
        await link.drain(timeout_s=_DRAIN_S)
        link.close()
    if front is not None:
        await front.outlive()


async def _release(sandbox: Sandbox, stack: ExitStack) -> bool:
    """Release every resource, whatever comes of the others: how containers ended is to be told.

    Whether all of it went; what did not is in the ledger, for `sweep`.
    """
    from enclos.sandbox import networks

    try:
        with stack:
            stack.callback(networks.close_all, sandbox)
            await _disconnect(sandbox)
    except (EnclosError, OSError) as error:
        log.error("not everything could be released", error=error)
        return False
    return True


async def _disconnect(sandbox: Sandbox) -> None:
    """Give back what containers have in networks with names, each whatever comes of the others.

    Raises `MachineFailed` or `OSError`, the last.
    """
    held = ledger.of_sandbox(sandbox.plan.directory)
    async with AsyncExitStack() as stack:
        for entry in held.entries():
            if entry.kind == release.ENDPOINT:
                stack.push_async_callback(_leave, sandbox, held, entry)


async def _leave(sandbox: Sandbox, held: Ledger, entry: Entry) -> None:
    """Outside of our mount namespace, which a daemon that is started for it would keep."""
    from enclos.sandbox import children

    leave = partial(_release_outside, sandbox.outside, entry.fields)
    name = "a container cannot leave its network"
    with errand.sent(name, leave, keep=(sandbox.outside,)) as work:
        await children.wait_done(work, timeout_s=_LEAVE_S)
    held.clear(entry)


def _release_outside(outside: int, fields: Fields) -> None:
    libc.setns(outside, libc.CLONE_NEWNS)
    release.RELEASES[release.ENDPOINT](fields)


def _forget(sandbox: Sandbox) -> None:
    try:
        records.remove_sandbox(sandbox.root, sandbox.plan.id)
    except OSError as error:
        log.error("the sandbox's directory stays", error=error)


def _end_if_lonely(sandbox: Sandbox) -> None:
    """Its creator was killed before it had connected."""
    from enclos.sandbox import ending

    if not sandbox.clients and not sandbox.containers and not sandbox.hosted:
        ending.stop(sandbox, "nobody came for it")


def _tell_not_started(sandbox: Sandbox) -> None:
    """Whoever still waits for the machine hears that it will not come."""
    if not sandbox.ready.is_set():
        sandbox.failed = sandbox.failed or MachineFailed("the sandbox ended while it was started")
        sandbox.ready.set()


async def _boot(sandbox: Sandbox, start: Start, stack: ExitStack) -> None:
    """Bring the machine up; a failure is kept for whoever waits to create a container."""
    from enclos.sandbox import ending

    failed = sandbox.failed
    try:
        if failed is None:
            await _bring_up(sandbox, start, stack)
    except EnclosError as error:
        failed = error
    except OSError as error:
        failed = MachineFailed(f"cannot start the sandbox: {error}")
    except Exception as error:  # noqa: BLE001 - the edge: a fault of ours must not leave a client waiting
        failed = MachineFailed(f"cannot start the sandbox: internal error: {error!r}")
    if failed is None:
        sandbox.ready.set()
    else:
        log.error("boot failed", error=failed)
        ending.fail(sandbox, failed)


async def _bring_up(sandbox: Sandbox, start: Start, stack: ExitStack) -> None:
    from enclos.sandbox import template as make
    from enclos.sandbox import watch

    plan, phases = sandbox.plan, sandbox.phases
    if sandbox.launched is None:
        found = await make.ensure(start.templates, start.template_key, plan)
        plan = sandbox.plan = replace(plan, template=found)
        phases.mark("template made")
        sandbox.launched = boot.launch(plan, stack, phases)
    watch.children(sandbox)
    try:
        await _run_guest(sandbox, sandbox.launched)
    except (MachineFailed, TimedOut) as error:
        if plan.template is None or boot.ANSWERED in phases.marks:
            raise
        template.remove(plan.template)
        raise type(error)(error.message, hint=_AGAIN, detail=error.detail) from error


async def _run_guest(sandbox: Sandbox, launched: Launched) -> None:
    from enclos.sandbox import ending, watch
    from enclos.wire.link import Handlers, Link

    plan, phases = sandbox.plan, sandbox.phases
    sandbox.machine = await boot.attach(launched, plan, phases)

    def lost(error: EnclosError) -> None:
        watch.broken(sandbox, str(error))

    handlers = Handlers(event=lambda name, body: ending.on_event(sandbox, name, body), closed=lost)
    sandbox.link = Link(launched.qemu.agent, handlers, name="agent")
    sandbox.kernel = await boot.settle(plan, sandbox.machine, sandbox.link, phases)
