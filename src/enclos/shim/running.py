"""The calls about tasks that exist: signals, streams, limits, and how they are."""

from __future__ import annotations

import os
from typing import Final

from google.protobuf.empty_pb2 import Empty

from enclos.errors import NotFound, Unsupported, WrongState
from enclos.oci.load import load_resources
from enclos.sandbox import containers, figures
from enclos.sandbox import update as updating
from enclos.shim import children, metrics
from enclos.shim.events import packed
from enclos.shim.proto import events_pb2, runcoptions_pb2, task_pb2
from enclos.shim.tasks import Proc, Shim, Task
from enclos.wire import control as c
from enclos.wire import messages as m

VERSION: Final = "v2"
_GONE: Final = "process already finished"


async def state(shim: Shim, request: task_pb2.StateRequest) -> task_pb2.StateResponse:
    """Where a process is in its life, and by which names its streams are found again."""
    task = shim.task(request.id)
    proc = task.proc(request.exec_id)
    names = proc.streams.names
    answer = task_pb2.StateResponse(
        id=task.id,
        bundle=os.fspath(task.bundle),
        pid=proc.pid,
        status=_status(task, proc),
        stdin=names.stdin,
        stdout=names.stdout,
        stderr=names.stderr,
        terminal=names.terminal,
        exec_id=proc.exec_id,
    )
    proc.tell_end(answer)
    return answer


def _status(task: Task, proc: Proc) -> task_pb2.Status:
    if proc.exit is not None:
        return task_pb2.STOPPED
    if not proc.started:
        return task_pb2.CREATED
    return task_pb2.PAUSED if task.paused else task_pb2.RUNNING


async def wait(shim: Shim, request: task_pb2.WaitRequest) -> task_pb2.WaitResponse:
    """How a process ended, once it has."""
    proc = shim.task(request.id).proc(request.exec_id)
    await proc.over.wait()
    answer = task_pb2.WaitResponse()
    proc.tell_end(answer)
    return answer


async def connect(shim: Shim, request: task_pb2.ConnectRequest) -> task_pb2.ConnectResponse:
    """Who we are; a task need not be there yet."""
    task = shim.tasks.get(request.id)
    pid = task.init.pid if task is not None else 0
    return task_pb2.ConnectResponse(shim_pid=os.getpid(), task_pid=pid, version=VERSION)


async def pids(shim: Shim, request: task_pb2.PidsRequest) -> task_pb2.PidsResponse:
    """The processes that stand for the task's on the host.

    Init is named until it is deleted: containerd from 1.7 on asks this of every shim that it
    finds when it starts, and takes one without processes for a leaked one.
    """
    task = shim.task(request.id)
    answer = task_pb2.PidsResponse()
    for proc in (task.init, *task.execs.values()):
        if not proc.pid or (proc.exec_id and proc.exit is not None):
            continue
        row = answer.processes.add(pid=proc.pid)
        if proc.exec_id:
            row.info.CopyFrom(packed(runcoptions_pb2.ProcessDetails(exec_id=proc.exec_id)))
    return answer


async def stats(shim: Shim, request: task_pb2.StatsRequest) -> task_pb2.StatsResponse:
    """The guest's figures, as the host's version of control groups has them."""
    _running(shim, request.id)
    found = await figures.stats(shim.sandbox, c.Named(request.id))
    told = metrics.version2(found.files) if shim.unified else metrics.version1(found.files)
    return task_pb2.StatsResponse(stats=packed(told))


async def kill(shim: Shim, request: task_pb2.KillRequest) -> Empty:
    """Send a signal; 0 asks. Raises `NotFound` once the process has ended: clients rely on it."""
    proc = shim.task(request.id).proc(request.exec_id)
    if proc.exit is not None or proc.live is None or shim.sandbox.ending:
        raise NotFound(f"{request.exec_id or request.id}: {_GONE}")
    signal = m.Signal(request.id, request.signal, request.exec_id, everyone=request.all)
    try:
        await containers.signal(shim.sandbox, signal)
    except WrongState as error:
        raise NotFound(f"{request.exec_id or request.id}: {_GONE}") from error
    return Empty()


async def pause(shim: Shim, request: task_pb2.PauseRequest) -> Empty:
    """Freeze a task."""
    task = _running(shim, request.id)
    await containers.pause(shim.sandbox, c.Named(request.id))
    task.paused = True
    shim.publisher.publish(events_pb2.TaskPaused(container_id=request.id))
    return Empty()


async def resume(shim: Shim, request: task_pb2.ResumeRequest) -> Empty:
    """Thaw a task."""
    task = _running(shim, request.id)
    await containers.resume(shim.sandbox, c.Named(request.id))
    task.paused = False
    shim.publisher.publish(events_pb2.TaskResumed(container_id=request.id))
    return Empty()


async def resize(shim: Shim, request: task_pb2.ResizePtyRequest) -> Empty:
    """Tell a terminal its size."""
    _running(shim, request.id).proc(request.exec_id)
    size = m.Resize(request.id, request.height, request.width, request.exec_id)
    await figures.resize(shim.sandbox, size)
    return Empty()


async def close_io(shim: Shim, request: task_pb2.CloseIORequest) -> Empty:
    """Input ends as soon as the client has closed its end."""
    if request.stdin:
        shim.task(request.id).proc(request.exec_id).streams.close_input()
    return Empty()


async def update(shim: Shim, request: task_pb2.UpdateTaskRequest) -> Empty:
    """New limits for a task."""
    _running(shim, request.id)
    new = load_resources(request.resources.value)

    def body() -> str:
        updating.update(shim.place, request.id, new)
        return ""

    await children.run(shim, body)
    return Empty()


async def checkpoint(_: Shim, request: task_pb2.CheckpointTaskRequest) -> Empty:
    """Not yet; clients ask whether."""
    raise Unsupported(f"container {request.id}: checkpoints are not supported yet")


def _running(shim: Shim, name: str) -> Task:
    """The task; raises `NotFound`, and `WrongState` if it has ended or its machine has."""
    task = shim.task(name)
    if task.init.exit is not None:
        raise WrongState(f"container {name}: container not running")
    shim.check_alive()
    return task
