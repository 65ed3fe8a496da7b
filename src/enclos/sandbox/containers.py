"""What a supervisor does with containers: one function per request of `wire/control`."""

from __future__ import annotations

import os
import signal as signals
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

from enclos.errors import EnclosError, Exists, InvalidRequest, Lost, WrongState
from enclos.oci.state import Operation, Status, check
from enclos.sandbox import (
    disks,
    ending,
    growth,
    networks,
    notices,
    outputlog,
    passed,
    projections,
    shares,
    uplinks,
)
from enclos.sandbox.live import Container, Process, Sandbox
from enclos.state import records
from enclos.state.records import ContainerRecord
from enclos.wire import control as c
from enclos.wire import messages as m
from enclos.wire.inputs import Input
from enclos.wire.outputs import Output

CREATE_TIMEOUT_S: Final = 120


async def create(sandbox: Sandbox, request: c.Create, descriptors: list[int]) -> c.Pid:
    """Bind what the container sees into the share, then have the agent make it."""
    record = records.decode_container(request.record)
    if request.id in sandbox.containers:
        raise Exists("container with given ID already exists")
    first = not sandbox.containers
    try:
        return await _create(sandbox, request, record, descriptors)
    except BaseException:
        if first:
            ending.stop(sandbox, "its first container could not be created")
        raise


async def _create(
    sandbox: Sandbox, request: c.Create, record: ContainerRecord, descriptors: list[int]
) -> c.Pid:
    with ExitStack() as way:
        uplinked = await uplinks.begin(sandbox, request.uplink, way) if request.uplink else None
        uplinks.keep_for(sandbox, request.id, request.kept_ports, way)
        await _wait_ready(sandbox)
        await growth.grow(sandbox, request.machine_bytes, request.machine_vcpus)
        return await _create_in(sandbox, request, record, descriptors, (uplinked, way))


async def _create_in(
    sandbox: Sandbox,
    request: c.Create,
    record: ContainerRecord,
    descriptors: list[int],
    uplink: tuple[uplinks.Uplinked | None, ExitStack],
) -> c.Pid:
    _check_descriptors(request, descriptors)
    trees = passed.take(descriptors, 1 + request.sources)
    plugs = passed.take(descriptors, disks.count(request))
    network = passed.take(descriptors, 1)
    told = passed.take(descriptors, int(bool(request.notices)))
    with passed.closing(trees, plugs, network, told):
        process = Process(request.id, "", terminal=request.channels.terminal)
        container = Container(record, process, relay=notices.relay(request, told))
        sandbox.containers[request.id] = container
        sandbox.begun(process)
        try:
            shares.bind(sandbox, request.id, trees, request.alike)
            projections.follow(sandbox, container, request.projected)
            plugged = await disks.attach(sandbox, container, request, plugs)
            joined = await _network(sandbox, request, network, *uplink)
            wiring = _wire(sandbox, process, request.channels, log=request.log)
            if request.attached:  # no waiting from here on: the request goes before the input
                attached = _couple(process, request.channels, descriptors, stdin_ends=True)
                process.tied += attached if request.tied else ()
            message = _message(request, wiring, plugged, joined)
            made = await sandbox.agent().call(
                "create", message, m.Started, timeout_s=CREATE_TIMEOUT_S
            )
        except BaseException:
            process.discard()
            await ending.let_go(sandbox, container)
            raise
    sandbox.phases.mark("container created")
    await _keep_created(sandbox, container)
    return c.Pid(made.pid)


def _message(
    request: c.Create, wiring: m.Stdio, plugged: disks.Plugged, network: str
) -> m.CreateContainer:
    """The same for the guest."""
    return m.CreateContainer(
        request.id,
        request.spec,
        wiring,
        request.shm_owner,
        request.shm_bytes,
        plugged.disks,
        all_devices=request.all_devices,
        local=request.local,
        network=network,
        own_network=request.own_network,
        notices=bool(request.notices),
        projected=request.projected,
        root=plugged.root,
    )


async def _network(
    sandbox: Sandbox,
    request: c.Create,
    descriptors: list[int],
    uplinked: uplinks.Uplinked | None,
    way: ExitStack,
) -> str:
    """The guest's name of the network that the container is in."""
    name = await networks.join(sandbox, request, descriptors.pop(), uplinked, way)
    sandbox.phases.mark("network joined")
    return name


async def look(sandbox: Sandbox, request: c.Named) -> None:
    """Have the guest know what has changed in the container's network by now."""
    sandbox.container(request.id)
    await networks.look_again(sandbox, request.id)


async def start(sandbox: Sandbox, request: c.Named) -> None:
    """Let the container's program run."""
    container = sandbox.container(request.id)
    _check(Operation.START, container)
    await networks.look_again(sandbox, request.id)
    await sandbox.agent().call("start", m.Target(request.id), m.Nothing, timeout_s=CREATE_TIMEOUT_S)
    sandbox.phases.mark("container started")
    await networks.open_doors(sandbox, request.id)
    if container.init.ended is None:
        await _keep_started(sandbox, container)


async def run_exec(sandbox: Sandbox, request: c.Exec, descriptors: list[int]) -> c.Pid:
    """Start one more process in a running container."""
    container = sandbox.container(request.id)
    _check(Operation.EXEC, container)
    if request.exec_id in container.execs:
        raise Exists(f"exec process {request.exec_id} already exists")
    process = Process(request.id, request.exec_id, terminal=request.channels.terminal)
    wiring = _wire(sandbox, process, request.channels, log="")
    attached = _couple(process, request.channels, descriptors, stdin_ends=True)
    process.tied += attached if request.tied else ()
    container.execs[request.exec_id] = process
    sandbox.begun(process)
    message = m.ExecProcess(request.id, request.exec_id, request.process, wiring)
    try:
        made = await sandbox.agent().call("exec", message, m.Started, timeout_s=CREATE_TIMEOUT_S)
    except BaseException:
        del container.execs[request.exec_id]
        process.discard()
        raise
    return c.Pid(made.pid)


async def attach(sandbox: Sandbox, request: c.Attach, descriptors: list[int]) -> None:
    """Let one more client see the output and, if asked, feed the input."""
    container = sandbox.container(request.id)
    channels = c.Channels(stdin=request.stdin, terminal=container.init.terminal)
    _couple(container.init, channels, descriptors, stdin_ends=request.stdin_ends)


async def signal(sandbox: Sandbox, request: m.Signal) -> None:
    """Send a signal by way of the agent."""
    container = sandbox.container(request.id)
    process = container.process(request.exec_id)
    if process is container.init and ending.lingers(sandbox, container):
        if request.number == signals.SIGKILL:
            ending.stop(sandbox, "killed")
        return
    if process.ended is not None:
        raise WrongState("container not running")
    await sandbox.agent().call("signal", request, m.Nothing, timeout_s=CREATE_TIMEOUT_S)


async def pause(sandbox: Sandbox, request: c.Named) -> None:
    """Freeze all processes of a container, its dirty pages flushed before."""
    container = sandbox.container(request.id)
    _check(Operation.PAUSE, container)
    await _become(sandbox, container, "pause", status="paused")


async def resume(sandbox: Sandbox, request: c.Named) -> None:
    """Thaw a paused container."""
    container = sandbox.container(request.id)
    _check(Operation.RESUME, container)
    status = "running" if container.record.started_at else "created"
    await _become(sandbox, container, "resume", status=status)


async def wait(sandbox: Sandbox, request: c.Named) -> c.Ended:
    """How a process ended, once it has and its output has been flushed."""
    container = sandbox.container(request.id)
    process = container.process(request.exec_id)
    await process.over.wait()
    container.execs.pop(request.exec_id, None)
    if process.ended is None:
        raise Lost("the process is gone and its status is not known")
    return replace(process.ended, leaving=sandbox.ending)


def _check(operation: Operation, container: Container) -> None:
    """Raises `WrongState` in runc's words."""
    ended = container.init.ended is not None
    status = Status.STOPPED if ended else Status(container.record.status)
    check(operation, status, container.record.id)


async def _keep_created(sandbox: Sandbox, container: Container) -> None:
    """Write that it is there; where that cannot be done it must not be."""
    try:
        _keep(sandbox, container, status="created")
    except (EnclosError, OSError):
        await ending.remove(sandbox, c.Named(container.record.id))
        raise


async def _keep_started(sandbox: Sandbox, container: Container) -> None:
    """Write that it runs; where that cannot be done it must not."""
    try:
        _keep(sandbox, container, status="running", started_at=records.now())
    except (EnclosError, OSError):
        kill = m.Signal(container.record.id, signals.SIGKILL, everyone=True)
        await sandbox.agent().call("signal", kill, m.Nothing, timeout_s=CREATE_TIMEOUT_S)
        raise


async def _become(sandbox: Sandbox, container: Container, method: str, *, status: str) -> None:
    """Write what a container becomes and have the guest make it so.

    In this order, so that what cannot be written does not happen.
    """
    before = container.record
    written = _keep(sandbox, container, status=status)
    target = m.Target(before.id)
    try:
        await sandbox.agent().call(method, target, m.Nothing, timeout_s=CREATE_TIMEOUT_S)
    except BaseException:
        if container.record is written:
            _keep(sandbox, container, status=before.status)
        raise


def _keep(sandbox: Sandbox, container: Container, **changes: str) -> ContainerRecord:
    """Write the record with `changes`; it stays as it was if that cannot be done."""
    record = replace(container.record, **changes)  # type: ignore[arg-type]
    records.save_container(sandbox.root, record)
    container.record = record
    return record


async def _wait_ready(sandbox: Sandbox) -> None:
    await sandbox.ready.wait()
    if sandbox.failed is not None:
        raise sandbox.failed


def _check_descriptors(request: c.Create, descriptors: list[int]) -> None:
    stdio = _stdio_count(request.channels) if request.attached else 0
    others = request.sources + disks.count(request) + bool(request.notices)
    if len(descriptors) != 2 + others + stdio:
        raise InvalidRequest(f"create came with {len(descriptors)} descriptors")


def _stdio_count(channels: c.Channels) -> int:
    if channels.terminal:
        return 1 + (channels.split and channels.stdin)
    return 2 + channels.stdin


def _wire(sandbox: Sandbox, process: Process, channels: c.Channels, *, log: str) -> m.Stdio:
    """Streams for a new process; output nobody takes is dropped, as docker does without a log."""
    link = sandbox.agent()
    recorder = process.log = outputlog.open_log(Path(log)) if log else None
    if channels.stdin or channels.terminal:
        process.stdin = Input(link, link.number())
    names = ("stdout",) if channels.terminal else ("stdout", "stderr")
    for name in names:
        write: Callable[[bytes], None] | None = recorder.writer(name) if recorder else None
        process.outputs.append(Output(link, link.number(), log=write))
    numbers = [output.number for output in process.outputs] + [0]
    return m.Stdio(
        stdin=process.stdin.number if process.stdin else 0,
        stdout=numbers[0],
        stderr=0 if channels.terminal else numbers[1],
        terminal=channels.terminal,
        rows=channels.rows,
        columns=channels.columns,
    )


def _couple(
    process: Process, channels: c.Channels, descriptors: list[int], *, stdin_ends: bool
) -> list[Callable[[], None]]:
    """Give a process' streams to descriptors: one for a terminal, two if those are split, else
    stdin, stdout, stderr.

    Takes them; returns what gives each of them back.
    """
    if len(descriptors) != _stdio_count(channels):
        raise InvalidRequest(f"{len(descriptors)} descriptors do not fit the streams")
    if channels.terminal and not channels.split:
        back = [process.outputs[0].attach(os.dup(descriptors[0]))]
    else:
        back = [output.attach(descriptors.pop()) for output in reversed(process.outputs)]
    for reading in passed.take(descriptors, len(descriptors)):
        if channels.stdin and process.stdin is not None:
            back.append(process.stdin.attach(reading, ends=stdin_ends))
        else:
            os.close(reading)
    return back
