"""The calls that make tasks and processes, let them run and remove them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from google.protobuf.empty_pb2 import Empty

from enclos import log
from enclos.errors import Exists, NotFound, Unsupported, WrongState
from enclos.ids import check_id
from enclos.oci.load import dump_process, load_process, load_spec
from enclos.oci.rules_process import check_process
from enclos.oci.types import Process
from enclos.plan import guestprocess
from enclos.sandbox import create as creation
from enclos.sandbox import delete as deletion
from enclos.sandbox import ending, execute, reach
from enclos.sandbox import start as starting
from enclos.sandbox.disksources import RootFile
from enclos.sandbox.execute import NewProcess
from enclos.sandbox.newcontainer import NewContainer
from enclos.shim import bundles, children, loggers, rootfs, stdio, watching
from enclos.shim.proto import events_pb2, task_pb2
from enclos.shim.rootfs import Mount
from enclos.shim.stdio import Names, Stdio
from enclos.shim.tasks import Proc, Shim, Task

_OVER_S: Final = 30
"""For the end of a process that is being removed; output may have to be taken first."""


async def create(shim: Shim, request: task_pb2.CreateTaskRequest) -> task_pb2.CreateTaskResponse:
    """A container, up to the moment before its program runs."""
    if request.checkpoint:
        raise Unsupported("checkpoints are not supported yet", hint="start the container anew")
    check_id(request.id)
    shim.check_alive()
    bundle = Path(request.bundle)
    mounts = [Mount(m.type, m.source, m.target, tuple(m.options)) for m in request.rootfs]
    names = Names(request.stdin, request.stdout, request.stderr, request.terminal)
    with _opened(shim, request.id, names) as streams:
        await loggers.wait_ready(streams)
        task = Task(request.id, bundle, Proc(request.id, "", streams))
        shim.add(task)
        async with task.init.busy:
            await make(shim, task, mounts)
            shim.publisher.publish(_created(request, task))
    return task_pb2.CreateTaskResponse(pid=task.init.pid)


async def make(shim: Shim, task: Task, mounts: list[Mount]) -> None:
    """Have the engine create a task that is known by now; it is forgotten if that fails."""
    try:
        pid = await children.run(shim, lambda: _create(shim, task, mounts))
    except BaseException:
        watching.forget_task(task)
        del shim.tasks[task.id]
        raise
    task.init.pid = int(pid)


def _created(request: task_pb2.CreateTaskRequest, task: Task) -> events_pb2.TaskCreate:
    """The event of a new task."""
    return events_pb2.TaskCreate(
        container_id=request.id,
        bundle=request.bundle,
        rootfs=request.rootfs,
        io=events_pb2.TaskIO(
            stdin=request.stdin,
            stdout=request.stdout,
            stderr=request.stderr,
            terminal=request.terminal,
        ),
        pid=task.init.pid,
    )


def _create(shim: Shim, task: Task, mounts: list[Mount]) -> str:
    """In a child: the engine's `create`; the pid of the stand-in."""
    streams = task.init.streams
    root_file = rootfs.file_of(mounts)
    if root_file is not None or task.hidden:
        rootfs.mount_empty(task.bundle)
    else:
        rootfs.mount_all(mounts, task.bundle)
    try:
        prepared = shim.prepared
        if prepared.new.id == task.id:
            new = replace(prepared.new, channels=streams.channels, root_file=root_file)
            made = creation.complete(shim.place, prepared, new)
        else:
            made = creation.create(shim.place, _member(shim, task, root_file))
    except BaseException:
        rootfs.unmount(task.bundle)
        raise
    made.connection.close()
    return str(made.record.pid)


def _member(shim: Shim, task: Task, root_file: RootFile | None) -> NewContainer:
    """A container that comes into the machine."""
    spec, shm_bytes = load_spec(bundles.spec_text(task.bundle)), 0
    if shim.home:
        from enclos.plan import podspec  # few pods are without a container of their own

        found = podspec.member(spec, shim.home)
        spec, shm_bytes = found.spec, found.shm_bytes
    return NewContainer(
        id=task.id,
        bundle=task.bundle,
        spec=spec,
        channels=task.init.streams.channels,
        owner="root",
        sandbox=shim.sandbox.plan.id,
        manager=bundles.manager(spec),
        shm_bytes=shm_bytes,
        root_file=root_file,
    )


@contextmanager
def _opened(shim: Shim, name: str, names: Names) -> Iterator[Stdio]:
    """Streams for a process of container `name`; an error in the body ends their logger, too."""
    environment = {"CONTAINER_ID": name, "CONTAINER_NAMESPACE": shim.namespace}
    with stdio.opened(names, environment=environment) as streams:
        try:
            yield streams
        except BaseException:
            _end_logger(shim, streams)
            raise


def _end_logger(shim: Shim, streams: Stdio) -> None:
    if streams.logger is not None:
        watching.in_background(shim, loggers.end(streams.logger))


async def execute_process(shim: Shim, request: task_pb2.ExecProcessRequest) -> Empty:
    """Register one more process of a container; Start runs it."""
    task = shim.task(request.id)
    check_id(request.exec_id)
    if task.init.exit is not None:
        raise WrongState("cannot exec in a stopped container")
    if request.exec_id in task.execs:
        raise Exists(f"exec process {request.exec_id} already exists")
    asked = _asked(shim, request)
    names = Names(request.stdin, request.stdout, request.stderr, request.terminal)
    task.execs[request.exec_id] = Proc(request.id, request.exec_id, Stdio(names), asked)
    shim.publisher.publish(
        events_pb2.TaskExecAdded(container_id=request.id, exec_id=request.exec_id)
    )
    return Empty()


def _asked(shim: Shim, request: task_pb2.ExecProcessRequest) -> Process:
    """The process as the guest runs it; raises `InvalidRequest`."""
    process = load_process(request.spec.value, file="process")
    check_process(process)
    container = reach.kept_spec(shim.place.root, request.id)
    return guestprocess.translate(process, cpus=guestprocess.host_cpus(container.linux)).process


async def start(shim: Shim, request: task_pb2.StartRequest) -> task_pb2.StartResponse:
    """Let a container's program, or a registered process, run."""
    task = shim.task(request.id)
    proc = task.proc(request.exec_id)
    if proc.exit is not None or proc.busy.locked() or proc.started:
        raise WrongState("cannot start an already running container")
    shim.check_alive()
    async with proc.busy:
        if proc is task.init:
            await run_init(shim, task)
            shim.publisher.publish(events_pb2.TaskStart(container_id=task.id, pid=proc.pid))
        else:
            await _start_exec(shim, task, proc)
        proc.started = True
    return task_pb2.StartResponse(pid=proc.pid)


async def run_init(shim: Shim, task: Task) -> None:
    """Let a container's program run."""

    def body() -> str:
        starting.start(shim.place.root, task.id)
        return ""

    _couple(task.init)
    await children.run(shim, body)


def _couple(proc: Proc) -> None:
    """Give init its streams: the engine takes the descriptors over."""
    live, streams = proc.live, proc.streams
    if live is None:
        raise WrongState("container not running")
    if not streams.descriptors:
        return  # it has them from a Start that failed later on
    streams.open_input()
    if live.stdin is not None and streams.names.stdin:
        live.stdin.attach(streams.descriptors.pop(0), ends=True)
    for output in live.outputs:
        output.attach(streams.descriptors.pop(0))


async def _start_exec(shim: Shim, task: Task, proc: Proc) -> None:
    try:
        with _opened(shim, task.id, proc.streams.names) as streams:
            await loggers.wait_ready(streams)
            streams.input_closed = proc.streams.input_closed
            streams.open_input()
            proc.streams = streams
            pid = await children.run(shim, lambda: _execute(shim, proc), keep=streams.descriptors)
            streams.hand_over()
    except BaseException:
        watching.forget(proc)
        raise
    proc.pid = int(pid)
    event = events_pb2.TaskExecStarted(container_id=task.id, exec_id=proc.exec_id, pid=proc.pid)
    shim.publisher.publish(event)


def _execute(shim: Shim, proc: Proc) -> str:
    """In a child: the engine's `exec`; the pid of the stand-in."""
    streams = proc.streams
    new = NewProcess(
        proc.exec_id,
        dump_process(proc.asked),
        streams.channels,
        arguments=proc.asked.args,
        oom_score_adj=proc.asked.oom_score_adj,
    )
    root = shim.place.root
    standin = execute.run_with_standin(root, proc.id, new, descriptors=streams.descriptors)
    return str(standin.pid)


async def delete(shim: Shim, request: task_pb2.DeleteRequest) -> task_pb2.DeleteResponse:
    """Remove a task that has stopped or was never started, or a process that has."""
    task = shim.task(request.id)
    proc = task.proc(request.exec_id)
    if proc.exit is None and (proc.busy.locked() or proc.started):
        raise WrongState(f"cannot delete container {request.id} that is not stopped: running")
    await stdio.wait_read(proc.streams)
    if proc is task.init:
        await _delete_task(shim, task)
    else:
        task.execs.pop(proc.exec_id, None)
    _end_logger(shim, proc.streams)
    proc.streams.close()
    answer = task_pb2.DeleteResponse(pid=proc.pid)
    proc.tell_end(answer)
    if proc is task.init:
        event = events_pb2.TaskDelete(
            container_id=task.id, pid=proc.pid, exit_status=answer.exit_status
        )
        event.exited_at.CopyFrom(answer.exited_at)
        shim.publisher.publish(event)
    return answer


async def _delete_task(shim: Shim, task: Task) -> None:
    def body() -> str:
        deletion.delete(shim.place.root, task.id)
        rootfs.unmount(task.bundle)
        return ""

    await children.run(shim, body)
    await _wait_over(task)
    if shim.tasks.get(task.id) is not task:
        raise NotFound(f"container {task.id}: container does not exist")  # another Delete was first
    for proc in task.execs.values():
        proc.streams.close()
    if task.watcher is not None:
        task.watcher.cancel()
    del shim.tasks[task.id]


async def _wait_over(task: Task) -> None:
    try:
        async with asyncio.timeout(_OVER_S):
            await task.init.over.wait()
    except TimeoutError:
        log.error("a deleted container did not end", container=task.id)


async def shutdown(shim: Shim, _: task_pb2.ShutdownRequest) -> Empty:
    """Sent after each task's Delete: the last one ends the shim."""
    if not shim.tasks:
        ending.stop(shim.sandbox, "")
        shim.over.set()
    return Empty()
