"""Tells the host when the kernel has killed something in a container for want of memory.

The kernel marks a cgroup's memory.events as changed; epoll reports that as EPOLLPRI until the
file is read again.
"""

from __future__ import annotations

import errno
import os

from enclos.guest import cgroups
from enclos.guest.agent import Agent
from enclos.guest.loop import PRIORITY
from enclos.guest.records import Container
from enclos.wire.messages import OutOfMemory

_FILE = "memory.events"
_READ_BYTES = 4096


def watch(agent: Agent, owner: Container) -> None:
    """From now on say `oom` for every new kill."""
    try:
        owner.oom_descriptor = os.open(f"{owner.cgroup}/{_FILE}", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return  # no memory controller, hence no limit that could be met
    os.read(owner.oom_descriptor, _READ_BYTES)
    agent.loop.watch(owner.oom_descriptor, PRIORITY, lambda _: check(agent, owner))


def check(agent: Agent, owner: Container) -> None:
    """Say what has happened since; also called before an exit is told, so as to come first."""
    if owner.oom_descriptor < 0:
        return
    try:
        os.pread(owner.oom_descriptor, _READ_BYTES, 0)
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
        forget(agent, owner)  # the cgroup is gone
        return
    kills = cgroups.counter(owner.cgroup, _FILE, "oom_kill")
    if kills > owner.oom_kills:
        owner.oom_kills = kills
        agent.say("oom", OutOfMemory(owner.id))


def forget(agent: Agent, owner: Container) -> None:
    """Stop watching."""
    if owner.oom_descriptor >= 0:
        agent.loop.forget(owner.oom_descriptor)
        os.close(owner.oom_descriptor)
        owner.oom_descriptor = -1
