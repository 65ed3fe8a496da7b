"""How processes, containers and the sandbox end, by themselves or by force.

The first container's init carries the sandbox: when it ends, the VM ends with it; but for a pod's
first container, which goes on for its engine until the others of the pod have ended, as their
namespaces would. Order
matters to engines: output is flushed, records are written, QEMU is gone, then the stand-ins
hear the status.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import replace

from enclos import log
from enclos.errors import EnclosError
from enclos.plan.grouping import SANDBOX_ANNOTATIONS
from enclos.sandbox import disks, networks, notices, projections, shares, starvation
from enclos.sandbox.live import Container, Process, Sandbox
from enclos.sandbox.reach import KILLED_STATUS
from enclos.state import records
from enclos.wire import codec
from enclos.wire import control as c
from enclos.wire import messages as m
from enclos.wire import netmessages as n

_SYNC_TIMEOUT_S = 10
_FLUSH_TIMEOUT_S = 30
_FORGET_TIMEOUT_S = 60
_DELETE_TIMEOUT_S = 60
_CREATOR_TIMEOUT_S = 60
_OUT_OF_MEMORY = "it ran out of memory"


def on_event(sandbox: Sandbox, name: str, body: bytes) -> None:
    """An event of the agent; what does not decode ends the sandbox, not the supervisor."""
    if name == "exited":
        event = codec.decode(m.Exited, body)
        container = sandbox.containers.get(event.id)
        if container is None:
            return
        process = container.init if not event.exec_id else container.execs.get(event.exec_id)
        if process is not None and process.ended is None:
            status = event.status & 0xFF
            killed = container.out_of_memory and status == KILLED_STATUS
            process.ended = c.Ended(status, _OUT_OF_MEMORY if killed else "")
            process.ended_ns = event.time_ns
            task = asyncio.get_running_loop().create_task(_after_exit(sandbox, container, process))
            sandbox.tasks.add(task)
            task.add_done_callback(sandbox.tasks.discard)
    elif name == "listeners":
        networks.listeners(sandbox, codec.decode(n.Listeners, body))
    elif name == "knock":
        networks.knock(sandbox, codec.decode(n.Knock, body))
    elif name == "question":
        networks.question(sandbox, codec.decode(n.Question, body))
    elif name == "oom":
        starvation.note(sandbox, codec.decode(m.OutOfMemory, body))
    elif name == "notice":
        notices.note(sandbox, codec.decode(m.Notice, body))


async def _after_exit(sandbox: Sandbox, container: Container, process: Process) -> None:
    await _flush(process)
    if process.exec_id:
        process.over.set()
        await _forget(sandbox, process)
        return
    await _wait_flushed(container.execs.values())
    sandbox.phases.mark("container exited")
    if not is_first(sandbox, container):
        await finish(sandbox, container)
    if _is_over(sandbox):
        _, *others = sandbox.containers.values()
        await _wait_flushed(other.init for other in others)
        await _sync(sandbox)
        stop(sandbox, "")


def is_first(sandbox: Sandbox, container: Container) -> bool:
    """Whether it is the container that carries the sandbox."""
    return next(iter(sandbox.containers.values()), None) is container


def lingers(sandbox: Sandbox, container: Container) -> bool:
    """Whether its program has ended but it stands, for its engine, as long as its pod lives."""
    if not is_first(sandbox, container) or container.init.ended is None or sandbox.ending:
        return False
    return not _is_over(sandbox)


def _is_over(sandbox: Sandbox) -> bool:
    """Whether the first container has ended, and with it the pod."""
    first, *others = sandbox.containers.values()
    if first.init.ended is None:
        return False
    return not any(_of_its_pod(first, other) for other in others)


def _of_its_pod(first: Container, other: Container) -> bool:
    """Whether it runs and was put there by an engine's annotation, not by joining `first`."""
    named = {other.record.annotations.get(key) for key in SANDBOX_ANNOTATIONS}
    return first.record.id in named and other.record.status in {"running", "paused"}


async def _flush(process: Process) -> None:
    """Wait until everything the process wrote has reached whoever reads it."""
    waits = [output.flushed.wait() for output in process.outputs]
    try:
        async with asyncio.timeout(_FLUSH_TIMEOUT_S):
            await asyncio.gather(*waits)
    except TimeoutError:
        log.warning("output not taken in time", container=process.id, exec=process.exec_id)


async def _wait_flushed(processes: Iterable[Process]) -> None:
    """Wait for those that have ended, each of which has had its own time for its output."""
    for process in list(processes):
        if process.ended is not None:
            await process.over.wait()


async def _forget(sandbox: Sandbox, process: Process) -> None:
    """Drop what is written about an exec process, here and in the guest: there may be many."""
    records.remove_exec(sandbox.root, process.id, process.exec_id)
    target = m.Target(process.id, process.exec_id)
    try:
        await sandbox.agent().call("delete", target, m.Nothing, timeout_s=_FORGET_TIMEOUT_S)
    except EnclosError as error:
        log.info("the guest has forgotten it", exec=process.exec_id, error=error)


async def _sync(sandbox: Sandbox) -> None:
    try:
        await sandbox.agent().call("sync", m.Nothing(), m.Nothing, timeout_s=_SYNC_TIMEOUT_S)
    except EnclosError as error:
        log.warning("the guest could not sync", error=error)


async def finish(sandbox: Sandbox, container: Container) -> None:
    """Write how a container ended and let everybody know who waits for it or its processes."""
    async with container.finishing:
        await _finish(sandbox, container)


async def _finish(sandbox: Sandbox, container: Container) -> None:
    ended = container.init.ended or c.Ended(KILLED_STATUS, "destroyed")
    container.init.ended = ended
    if container.record.status != "stopped":
        await starvation.mirror(sandbox.root, container)
        container.record = replace(
            container.record,
            status="stopped",
            exit_status=ended.status,
            exit_reason=ended.reason,
            finished_at=records.now(),
        )
        _save(sandbox, container)
    for process in (*container.execs.values(), container.init):
        if process.ended is None:
            process.ended = c.Ended(KILLED_STATUS, ended.reason)
        process.over.set()
    container.init.close_log()
    notices.close(container)
    container.tell()


def _save(sandbox: Sandbox, container: Container) -> None:
    """Write the record; where that cannot be done, those who wait hear the status all the same."""
    try:
        records.save_container(sandbox.root, container.record)
    except (EnclosError, OSError) as error:
        log.error("an end is not written down", container=container.record.id, error=error)


def stop(sandbox: Sandbox, reason: str) -> None:
    """End the sandbox: a `reason` means that something broke. Idempotent."""
    if sandbox.ending:
        return
    sandbox.ending = True
    for container in sandbox.containers.values():
        if container.init.ended is None:
            container.init.ended = c.Ended(KILLED_STATUS, reason or "the sandbox ended")
    sandbox.finish.set()


def fail(sandbox: Sandbox, error: EnclosError) -> None:
    """The machine cannot be had. Whoever waits hears it, and whoever is about to create the first
    container is waited for: it ends the sandbox when it has been told, or by going away."""
    sandbox.failed = sandbox.failed or error
    sandbox.ready.set()
    reason = str(sandbox.failed)
    if sandbox.containers:
        stop(sandbox, reason)
    else:
        asyncio.get_running_loop().call_later(_CREATOR_TIMEOUT_S, stop, sandbox, reason)


async def conclude(sandbox: Sandbox) -> None:
    """End the sandbox for its engine, whatever runs in it; what it has written is not lost."""
    if not sandbox.ending and sandbox.link is not None:
        await _sync(sandbox)
    stop(sandbox, "")


async def abandon(sandbox: Sandbox, request: c.Named) -> None:
    """Its creator gives a container up, created or not; a sandbox without another one ends.

    One that is being created in a sandbox of others goes when it is there: see `service`.
    """
    if not sandbox.containers.keys() - {request.id}:
        stop(sandbox, "abandoned")
        return
    container = sandbox.containers.get(request.id)
    if container is not None and container.record.status != "creating":
        await remove(sandbox, request)


async def remove(sandbox: Sandbox, request: c.Named) -> None:
    """Delete a container from a living sandbox; the first one takes the sandbox along."""
    container = sandbox.container(request.id)
    if is_first(sandbox, container):
        stop(sandbox, "deleted")
        return
    if container.init.ended is None:
        container.init.ended = c.Ended(KILLED_STATUS, "deleted")
    await _delete(sandbox, request.id)
    await finish(sandbox, container)
    if sandbox.containers.get(request.id) is not container:
        return  # somebody else was quicker
    await let_go(sandbox, container)
    if _is_over(sandbox):
        stop(sandbox, "")


async def _delete(sandbox: Sandbox, container_id: str) -> None:
    """Have the guest let go first; what it says or fails to say holds nothing up on the host."""
    target = m.Target(container_id)
    try:
        await sandbox.agent().call("delete", target, m.Nothing, timeout_s=_DELETE_TIMEOUT_S)
    except EnclosError as error:
        log.warning("the guest did not delete it", container=container_id, error=error)


async def let_go(sandbox: Sandbox, container: Container) -> None:
    """Give back all that a container holds on the host, each part whatever comes of the others."""
    name = container.record.id
    try:
        async with AsyncExitStack() as stack:  # from the last to the first
            stack.callback(sandbox.containers.pop, name, None)
            stack.push_async_callback(networks.leave, sandbox, name)
            stack.callback(shares.unbind, sandbox, name)
            stack.callback(projections.close, container)
            stack.callback(notices.close, container)
            await disks.detach(sandbox, container)
    except (EnclosError, OSError) as error:
        log.error("not all of a container could be released", container=name, error=error)
