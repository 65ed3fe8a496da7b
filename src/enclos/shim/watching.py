"""What happens to tasks by itself: processes end, containers run out of memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, Final

from enclos.errors import EnclosError
from enclos.sandbox import starvation
from enclos.sandbox.live import Process
from enclos.sandbox.reach import KILLED_STATUS
from enclos.shim.proto import events_pb2
from enclos.shim.tasks import Exit, Proc, Shim, Task
from enclos.wire import control as c

NEVER_STATUS: Final = 255
"""Of a process that could not be started."""
_OUT_OF_MEMORY_S: Final = 1


def begun(shim: Shim, process: Process) -> None:
    """The engine has a process, of a task that is being created or an exec that is started."""
    task = shim.tasks.get(process.id)
    if task is None:
        return  # of a client of the supervisor's socket, who follows it there
    proc = task.execs.get(process.exec_id) if process.exec_id else task.init
    if proc is None or proc.live is not None:
        return
    proc.live = process
    proc.began_ns = time.time_ns()
    proc.watcher = in_background(shim, _follow(shim, task, proc, process))
    if proc is task.init and not task.hidden:
        task.watcher = in_background(shim, _follow_memory(shim, process.id))


def in_background(shim: Shim, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Run `work` beside everything else."""
    task = asyncio.get_running_loop().create_task(work)
    shim.background.add(task)
    task.add_done_callback(shim.background.discard)
    return task


def forget(proc: Proc) -> None:
    """It never came to be, which whoever waits for it hears."""
    if proc.watcher is not None:
        proc.watcher.cancel()
    proc.live = None
    if proc.exec_id:
        proc.exit = Exit(NEVER_STATUS, time.time_ns())
        proc.over.set()


def forget_task(task: Task) -> None:
    """Its init never came to be, nor will there be news of its memory."""
    forget(task.init)
    if task.watcher is not None:
        task.watcher.cancel()


async def _follow(shim: Shim, task: Task, proc: Proc, process: Process) -> None:
    """Tell how a process ended, after its start has been told and its output is out."""
    await process.over.wait()
    async with proc.busy:
        pass
    if proc is task.init:
        await _wait_execs(task)
    status = process.ended.status if process.ended is not None else KILLED_STATUS
    proc.exit = Exit(status, host_time(process.ended_ns, proc.began_ns, time.time_ns()))
    if not task.hidden:
        shim.publisher.publish(exit_event(proc, proc.exit))
    proc.over.set()


async def _wait_execs(task: Task) -> None:
    """The kernel ends everything in a container with its init: that is told first."""
    for proc in list(task.execs.values()):
        if proc.live is not None and proc.live.over.is_set():
            await proc.over.wait()


def exit_event(proc: Proc, ended: Exit) -> events_pb2.TaskExit:
    """The event of a process' end."""
    event = events_pb2.TaskExit(
        container_id=proc.id,
        id=proc.exec_id or proc.id,
        pid=proc.pid,
        exit_status=ended.status,
    )
    event.exited_at.FromNanoseconds(ended.time_ns)
    return event


def host_time(told_ns: int, began_ns: int, now_ns: int) -> int:
    """The guest's word for when something ended, as far as it can be true; 0 is no word."""
    return min(max(told_ns, began_ns), now_ns) if told_ns else now_ns


async def _follow_memory(shim: Shim, name: str) -> None:
    """Tell that the guest's kernel has killed something for want of memory, at most once a second.

    How often it kills, or says so, is up to the guest; the first kill is told at once.
    """
    kills = 0
    while True:
        try:
            seen = await starvation.watch(shim.sandbox, c.Watch(name, kills))
        except EnclosError:
            return  # the container is gone
        if seen.kills > kills:
            kills = seen.kills
            shim.publisher.publish(events_pb2.TaskOOM(container_id=name))
        if seen.ended:
            return
        await asyncio.sleep(_OUT_OF_MEMORY_S)
        container = shim.sandbox.containers.get(name)
        if container is None or container.init.ended is not None:
            return
