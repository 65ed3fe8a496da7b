"""How a process enters a container: crun exec; and how the end of any process is told.

`Exited` is said when the process is dead and all its output has been sent, at the latest
LINGER_S after its death: a daemon it left behind may hold its pipes for ever. What such a
daemon writes later is still sent, until the record is deleted.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable
from typing import Final

from enclos.errors import Exists, GuestFailed, InvalidRequest, WrongState
from enclos.guest import cgroups, complaints, crun, notices, oom, share
from enclos.guest.agent import Agent
from enclos.guest.complaints import Program
from enclos.guest.records import Container, Process, container
from enclos.guest.stdio import ProcessIo
from enclos.guest.tasks import Promise, after
from enclos.ids import check_id
from enclos.wire.messages import ExecProcess, Exited, Started
from enclos.wire.places import CONTAINERS_PATH, INIT_LINK

LINGER_S: Final = 2.0


async def execute(agent: Agent, request: ExecProcess) -> Started:
    """Start one more process; raises `ProgramNotFound` and the like before it would run."""
    owner = container(agent.containers, request.id)
    name = check_id(request.exec_id)
    if name in owner.execs or name in owner.pending:
        raise Exists(
            f"exec {name!r} in container {request.id!r}: exec with given ID already exists"
        )
    if owner.init.status is not None:
        raise WrongState(f"container {request.id!r}: cannot exec in a stopped container")
    if cgroups.counter(owner.cgroup, "cgroup.events", "frozen"):
        raise WrongState(f"container {request.id!r}: cannot exec in a paused container")
    document = complaints.decoded(request.process)
    program = complaints.program_of(document)
    score = int(document.get("oomScoreAdj") or 0)
    process = Process(request.id, name, ProcessIo(agent.streams, request.stdio))
    owner.pending.add(name)
    try:
        await _enter(agent, owner, process, text=request.process, program=program, score=score)
    finally:
        owner.pending.discard(name)
    owner.execs[name] = process
    return Started(process.pid)


async def _enter(
    agent: Agent, owner: Container, process: Process, *, text: str, program: Program, score: int
) -> None:
    stem = f"{CONTAINERS_PATH}/{owner.id}/exec.{process.exec_id}"
    with open(f"{stem}.json", "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
    arguments = ["exec", "--process", f"{stem}.json", "--detach", "--pid-file", f"{stem}.pid"]
    try:
        await born(
            agent, process, [*arguments, *process.io.arguments, owner.id], pid_file=f"{stem}.pid",
            program=program, inside=owner.init.pid, oom_score_adj=score,
        )  # fmt: skip
    finally:
        os.unlink(f"{stem}.json")


async def born(
    agent: Agent, process: Process, arguments: list[str], *,
    pid_file: str, program: Program, inside: int = 0, oom_score_adj: int = 0,
    settle: Callable[[int], Awaitable[None]] | None = None,
) -> None:  # fmt: skip
    """Run crun to make `process`, and watch its life from then on.

    `inside` is a process of the container, if it has one already; `settle` does what is left
    to do about the new one.
    """
    agent.reaper.birth()
    try:
        outcome = await crun.run(
            agent.reaper, arguments, stdio=process.io.descriptors, oom_score_adj=oom_score_adj
        )
        if outcome.status:
            raise complaints.translate(outcome.complaint, program, pid=inside)
        await process.io.connect()
        process.pid = _read_pid(pid_file)
        if settle is not None:
            await settle(process.pid)
    except BaseException:
        process.io.finish()
        agent.reaper.born()
        raise
    # After the reply has been sent: no Exited may come before it.
    agent.loop.later(0, lambda: follow(agent, process))


def follow(agent: Agent, process: Process) -> None:
    """Tell the end of a process that `born` began to make."""
    ended: Promise[int] = agent.reaper.ended(process.pid)
    agent.reaper.born()
    ended.then(lambda: _died(agent, process, ended.result()))


def _died(agent: Agent, process: Process, status: int) -> None:
    process.status = status
    process.io.died()
    event = Exited(process.container_id, process.exec_id, status, time.time_ns())
    process.told.then(lambda: agent.say("exited", event))
    agent.loop.later(LINGER_S, lambda: process.told.keep(None))
    before = [process.io.drained]
    owner = agent.containers.get(process.container_id)
    if owner is not None:
        oom.check(agent, owner)
        notices.tell(agent, owner)
        if process is owner.init:
            _close(owner)  # those that died with it are told before it
            before += [one.told for one in owner.execs.values() if one.status is not None]
            if not cgroups.counter(owner.cgroup, "cgroup.events", "populated"):
                before.append(share.leave(agent, owner))
    after(before, lambda: process.told.keep(None))


def open_to_others(owner: Container) -> None:
    """Let other containers join the namespaces of this one, by a path without a pid."""
    os.symlink(f"/proc/{owner.init.pid}", _link(owner))


def _close(owner: Container) -> None:
    """The pid may be another's from now on."""
    link = _link(owner)
    if os.path.islink(link):
        os.unlink(link)


def _link(owner: Container) -> str:
    return f"{CONTAINERS_PATH}/{owner.id}/{INIT_LINK}"


def _read_pid(path: str) -> int:
    try:
        with open(path, encoding="ascii") as file:
            pid = int(file.read())
        os.unlink(path)
    except (OSError, ValueError) as error:
        raise GuestFailed(f"crun wrote no pid to {path}: {error}") from error
    if pid <= 1:
        raise InvalidRequest(f"crun wrote {pid} as a pid")
    return pid
