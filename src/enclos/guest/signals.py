"""What is done to running processes: signals, terminal sizes, the freezer.

Only this process reaps, so a pid whose end has not been noted is still that process's.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Final

from enclos.errors import InvalidRequest, NotFound, TimedOut, WrongState
from enclos.guest import cgroups, power
from enclos.guest.agent import Agent
from enclos.guest.records import Container, Process, container, process
from enclos.wire.messages import Nothing, Resize, Signal, Target

_POLL_S: Final = 0.002
_FREEZE_TIMEOUT_S: Final = 10.0


async def send(agent: Agent, request: Signal) -> Nothing:
    """Send a signal; raises `NotFound` if the process has ended."""
    if not 0 <= request.number < signal.NSIG:
        raise InvalidRequest(f"no signal {request.number}")
    if request.everyone:
        _send_all(container(agent.containers, request.id).cgroup, request.number)
    else:
        _send_one(process(agent.containers, request.id, request.exec_id), request.number)
    return Nothing()


async def resize(agent: Agent, request: Resize) -> Nothing:
    """Set a terminal's size."""
    one = process(agent.containers, request.id, request.exec_id)
    one.io.resize(request.rows, request.columns)
    return Nothing()


async def pause(agent: Agent, request: Target) -> Nothing:
    """Write out what is dirty, then freeze the container."""
    owner = _running(agent, request)
    await power.flush(agent)
    await _freeze(agent, owner.cgroup, "1")
    return Nothing()


async def resume(agent: Agent, request: Target) -> Nothing:
    """Thaw the container."""
    await _freeze(agent, _running(agent, request).cgroup, "0")
    return Nothing()


def _running(agent: Agent, request: Target) -> Container:
    owner = container(agent.containers, request.id)
    if owner.init.status is not None:
        raise WrongState(f"container {request.id!r}: container not running")
    return owner


def _send_one(one: Process, number: int) -> None:
    if one.status is not None:
        gone = "process already finished" if one.exec_id else "container not running"
        raise NotFound(f"cannot signal {one.exec_id or one.container_id!r}: {gone}")
    os.kill(one.pid, number)


def _send_all(cgroup: str, number: int) -> None:
    if number == signal.SIGKILL and os.path.exists(f"{cgroup}/cgroup.kill"):
        cgroups.write(cgroup, "cgroup.kill", "1")
        return
    for pid in cgroups.pids(cgroup):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue  # ended while we read the list


async def _freeze(agent: Agent, cgroup: str, state: str) -> None:
    cgroups.write(cgroup, "cgroup.freeze", state)
    limit = time.monotonic() + _FREEZE_TIMEOUT_S
    while cgroups.counter(cgroup, "cgroup.events", "frozen") != int(state):
        if time.monotonic() > limit:
            cgroups.write(cgroup, "cgroup.freeze", "0")
            raise TimedOut(f"the container did not freeze within {_FREEZE_TIMEOUT_S:g} s")
        await agent.loop.sleep(_POLL_S)
