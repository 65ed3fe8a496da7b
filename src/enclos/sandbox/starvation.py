"""Containers that run out of memory: who wants to know hears of it, engines from the kernel.

An engine on the command-line path watches the control group of the stand-in's pid and nothing
else. So when a container ends in which the guest's kernel has killed something, the host's
kernel is made to kill a child of ours there (decision 20). That is done at the end, when no
machine lives in the group any more: drawing the limit tight around a running QEMU would be to
bet on whom the kernel takes.

podman and CRI-O read a file that conmon leaves, which some versions of it leave elsewhere: to
those the file is given as well, until the container is deleted.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from enclos import log
from enclos.errors import EnclosError, MachineFailed
from enclos.linux import errand
from enclos.linux.cgroup import group, layout, starve
from enclos.sandbox import children, release
from enclos.sandbox.live import Container, Sandbox
from enclos.state import ledger
from enclos.state.records import ContainerRecord
from enclos.state.store import StateRoot
from enclos.wire import control as c
from enclos.wire import messages as m

_ENGINE: Final = "io.container.manager"
"""The annotation of engines with conmon, which look for the file in the bundle."""
_FILE: Final = "oom"
_SHOWN_S: Final = 20.0


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


async def mirror(root: StateRoot, container: Container) -> None:
    """Let the host's kernel report what the guest's did, before the stand-in ends.

    The container's machine is gone, or was never in the container's group.
    """
    if not container.out_of_memory:
        return
    _tell_conmons_engine(root, container.record)
    path = container.record.cgroup
    if not path:
        return
    try:
        with errand.sent("the host's kernel kills nothing", lambda: _starve(path)) as work:
            await children.wait_done(work, timeout_s=_SHOWN_S)
    except (EnclosError, OSError) as error:
        log.warning("engines cannot see that memory ran out", container=path, error=error)
        return
    log.info("out of memory shown on the host", container=container.record.id)


def _starve(path: str) -> None:
    """Work of a child, as reclaiming memory and waiting for the kernel take seconds at times."""
    if not starve.starve(group.find(layout.detect(), path)):
        raise MachineFailed("it has left its choice alone")


def _tell_conmons_engine(root: StateRoot, record: ContainerRecord) -> None:
    """Leave the empty file that conmon would, where podman 4.3 and CRI-O look for it.

    On a host with cgroup v1 conmon 2.1.6 makes it in its working directory, which podman has
    set to wherever its user was. podman 4.3 takes the file away once it has seen it; podman 5
    looks in conmon's `--persist-dir` and leaves this one, so `delete` does.
    """
    if _ENGINE not in record.annotations:
        return
    file = Path(record.bundle) / _FILE
    try:
        held = ledger.of_container(root.container(record.id))
        held.record(release.FILE, path=os.fspath(file))
        file.touch()
    except OSError as error:
        log.warning("the engine is not told that memory ran out", file=file, error=error)


async def watch(sandbox: Sandbox, request: c.Watch) -> c.Watched:
    """Wait for the next such event, or for the end of the container."""
    container = sandbox.container(request.id)
    while container.init.ended is None and container.memory_kills <= request.kills:
        await container.news.wait()
    return c.Watched(container.memory_kills, ended=container.init.ended is not None)
