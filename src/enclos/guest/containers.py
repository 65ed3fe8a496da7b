"""How a container is made, started and removed: crun create, start and delete."""

from __future__ import annotations

import os
from typing import Any

from enclos.errors import Exists, GuestFailed, InvalidRequest, WrongState
from enclos.guest import (
    complaints,
    crun,
    disks,
    mirror,
    modules,
    netns,
    nodes,
    notices,
    oom,
    processes,
    projections,
    propagation,
    share,
    sharedmemory,
)
from enclos.guest.agent import Agent
from enclos.guest.complaints import Program
from enclos.guest.records import Container, Process, container, process
from enclos.guest.stdio import ProcessIo
from enclos.ids import check_id
from enclos.wire.messages import CreateContainer, Nothing, Started, Target, Update
from enclos.wire.places import CONTAINERS_PATH


async def create(agent: Agent, request: CreateContainer) -> Started:
    """Make a container whose init waits for `start`."""
    name = check_id(request.id)
    if name in agent.containers:
        raise Exists(f"{name!r}: container with given ID already exists")
    document = complaints.decoded(request.spec)
    program = _program(document)
    made = Container(name, Process(name, "", ProcessIo(agent.streams, request.stdio)))
    agent.containers[name] = made
    try:
        if request.shm_bytes:
            sharedmemory.ensure(request.shm_owner, request.shm_bytes)
        if request.notices:
            notices.listen(agent, made)
        projections.fill(name, request.projected)
        share.hold(made, document)
        modules.load_for(document)
        spec = await nodes.complete(agent, request, document)
        if request.network and not request.own_network:
            netns.give(agent.networks, request.network, name)
        if request.root:
            await disks.mount_root(agent, name, request.root)
        await _create(agent, made, request, spec=spec, document=document, program=program)
    except BaseException:
        await crun.undo(agent.reaper, name)
        await share.leave(agent, made)
        await disks.forget_local(agent, name)
        _forget(agent, made)
        raise
    finally:
        disks.leave_root(name)
    oom.watch(agent, made)
    return Started(made.init.pid)


async def start(agent: Agent, request: Target) -> Nothing:
    """Let the container's init become its program."""
    owner = container(agent.containers, request.id)
    if owner.init.status is not None:
        raise WrongState(f"container {request.id!r}: cannot start a container that has stopped")
    if owner.started:
        raise WrongState(f"container {request.id!r}: cannot start an already running container")
    owner.started = True
    outcome = await crun.run(agent.reaper, ["start", owner.id])
    if outcome.status:
        raise complaints.translate(outcome.complaint, Program("", ""))
    return Nothing()


async def delete(agent: Agent, request: Target) -> Nothing:
    """Remove a container, killing what is left of it, or forget an exec process."""
    if request.exec_id:
        one = process(agent.containers, request.id, request.exec_id)
        if one.status is None:
            raise WrongState(f"process {request.exec_id!r} is still running")
        one.io.finish()
        del agent.containers[request.id].execs[request.exec_id]
        return Nothing()
    owner = container(agent.containers, request.id)
    outcome = await crun.run(agent.reaper, ["delete", "--force", owner.id])
    if outcome.status:
        raise GuestFailed(f"cannot delete container {owner.id!r}: {outcome.complaint}")
    for one in (owner.init, *owner.execs.values()):
        await one.told
    await share.leave(agent, owner)
    await disks.forget_local(agent, owner.id)
    _forget(agent, owner)
    return Nothing()


def _forget(agent: Agent, owner: Container) -> None:
    """Drop the record; another of this id may have come meanwhile."""
    oom.forget(agent, owner)
    notices.forget(agent, owner)
    share.let_go(owner, agent.containers.values())
    for one in (owner.init, *owner.execs.values()):
        one.io.finish()
    if agent.containers.get(owner.id) is owner:
        del agent.containers[owner.id]
        sharedmemory.forget(owner.id)
        gone = netns.take_back(agent.networks, owner.id)
        if gone is not None:
            mirror.forget(agent, gone)
            gone.close()
        projections.forget(owner.id)
        _remove(_bundle(owner.id))


async def update(agent: Agent, request: Update) -> Nothing:
    """Set new limits."""
    owner = container(agent.containers, request.id)
    file = f"{_bundle(owner.id)}/resources.json"
    with open(file, "w", encoding="utf-8") as output:
        output.write(request.resources)
    outcome = await crun.run(agent.reaper, ["update", "--resources", file, owner.id])
    os.unlink(file)
    if outcome.status:
        raise InvalidRequest(f"cannot update container {owner.id!r}: {outcome.complaint}")
    return Nothing()


async def _create(
    agent: Agent, made: Container, request: CreateContainer, *,
    spec: str, document: Any, program: Program,
) -> None:  # fmt: skip
    wanted = propagation.wanted(document)
    bundle = _bundle(made.id)
    os.makedirs(bundle, mode=0o700)
    with open(f"{bundle}/config.json", "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(spec)
    pid_file = f"{bundle}/init.pid"
    arguments = ["create", "--bundle", bundle, "--pid-file", pid_file]

    async def settle(pid: int) -> None:
        await propagation.apply(agent, pid, wanted)
        share.keep(made)
        processes.open_to_others(made)
        if request.own_network:
            netns.adopt(agent.networks, request.network, pid)
            netns.give(agent.networks, request.network, made.id)

    await processes.born(
        agent, made.init, [*arguments, *made.init.io.arguments, made.id],
        pid_file=pid_file, program=program, settle=settle,
    )  # fmt: skip


def _bundle(name: str) -> str:
    return f"{CONTAINERS_PATH}/{name}"


def _remove(bundle: str) -> None:
    """Delete a directory of plain files, if it is there."""
    if os.path.isdir(bundle):
        for name in os.listdir(bundle):
            os.unlink(f"{bundle}/{name}")
        os.rmdir(bundle)


def _program(document: Any) -> Program:
    if "process" not in (document if isinstance(document, dict) else {}):
        raise InvalidRequest("the spec has no process")
    return complaints.program_of(document["process"])
