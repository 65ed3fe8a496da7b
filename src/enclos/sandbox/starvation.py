"""Containers that run out of memory: who wants to know hears of it, engines from the kernel.

An engine on the command-line path watches the control group of the stand-in's pid and nothing
else. So when a container ends in which the guest's kernel has killed something, the host's
kernel is made to kill a child of ours there (decision 20). That is done at the end, when no
machine lives in the group any more: drawing the limit tight around a running QEMU would be to
bet on whom the kernel takes.
"""

from __future__ import annotations

from enclos import log
from enclos.linux.cgroup import group, layout, starve
from enclos.sandbox.live import Container, Sandbox
from enclos.wire import control as c
from enclos.wire import messages as m


def note(sandbox: Sandbox, event: m.OutOfMemory) -> None:
    """The agent says that the guest's kernel has killed something in a container.

    Logged once a container: how often it is said is up to the guest.
    """
    container = sandbox.containers.get(event.id)
    if container is None:
        return
    if not container.out_of_memory:
        log.warning("out of memory in the guest", container=event.id)
    container.memory_kills += 1
    container.tell()


def mirror(container: Container) -> None:
    """Let the host's kernel report what the guest's did, before the stand-in ends.

    The container's machine is gone, or was never in the container's group.
    """
    path = container.record.cgroup
    if not container.out_of_memory or not path:
        return
    try:
        seen = starve.starve(group.find(layout.detect(), path))
    except OSError as error:
        log.warning("engines cannot see that memory ran out", container=path, error=error)
        return
    log.info("out of memory shown on the host", container=container.record.id, seen=seen)


async def watch(sandbox: Sandbox, request: c.Watch) -> c.Watched:
    """Wait for the next such event, or for the end of the container."""
    container = sandbox.container(request.id)
    while container.init.ended is None and container.memory_kills <= request.kills:
        await container.news.wait()
    return c.Watched(container.memory_kills, ended=container.init.ended is not None)
