"""Containers that run out of memory: who wants to know hears of it."""

from __future__ import annotations

from enclos import log
from enclos.sandbox.live import Sandbox
from enclos.wire import control as c
from enclos.wire import messages as m


def note(sandbox: Sandbox, event: m.OutOfMemory) -> None:
    """The agent says that the guest's kernel has killed something in a container."""
    log.warning("out of memory in the guest", container=event.id)
    container = sandbox.containers.get(event.id)
    if container is not None:
        container.memory_kills += 1
        container.tell()


async def watch(sandbox: Sandbox, request: c.Watch) -> c.Watched:
    """Wait for the next such event, or for the end of the container."""
    container = sandbox.container(request.id)
    while container.init.ended is None and container.memory_kills <= request.kills:
        await container.news.wait()
    return c.Watched(container.memory_kills, ended=container.init.ended is not None)
