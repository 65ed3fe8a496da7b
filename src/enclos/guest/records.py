"""What the agent remembers of containers and their processes, and how it finds them again."""

from __future__ import annotations

import socket
from dataclasses import field
from typing import Final

from enclos.errors import NotFound
from enclos.guest.stdio import ProcessIo
from enclos.guest.tasks import Promise
from enclos.structs import dataclass

CGROUPS: Final = "/sys/fs/cgroup"
PARENT: Final = "enclos"
"""Cgroup below which every container has its own, named by its id."""


@dataclass(slots=True)
class Process:
    """A container's init or an exec process; `pid` is 0 until it is known."""

    container_id: str
    exec_id: str
    io: ProcessIo
    pid: int = 0
    status: int | None = None
    told: Promise[None] = field(default_factory=Promise[None])
    """Kept when its end has been said."""


@dataclass(slots=True)
class Container:
    """A container that crun knows."""

    id: str
    init: Process
    execs: dict[str, Process] = field(default_factory=dict[str, Process])
    pending: set[str] = field(default_factory=set[str])
    started: bool = False
    oom_kills: int = 0
    oom_descriptor: int = -1
    notices: socket.socket | None = None
    mounts: set[str] = field(default_factory=set[str])
    """Mounts below the share's that it has a part of: its root, and volumes."""
    namespace: int = -1
    """Descriptor of its mount namespace, which is kept by that; -1: it need not be."""

    @property
    def cgroup(self) -> str:
        """Directory of its cgroup."""
        return f"{CGROUPS}/{PARENT}/{self.id}"


def container(containers: dict[str, Container], container_id: str) -> Container:
    """The container called so; raises `NotFound`."""
    found = containers.get(container_id)
    if found is None or not found.init.pid:
        raise NotFound(f"{container_id[:80]!r}: container does not exist")
    return found


def process(containers: dict[str, Container], container_id: str, exec_id: str) -> Process:
    """The container's init, or its exec process called so; raises `NotFound`."""
    owner = container(containers, container_id)
    if not exec_id:
        return owner.init
    found = owner.execs.get(exec_id)
    if found is None:
        raise NotFound(f"exec {exec_id[:80]!r} of {container_id[:80]!r}: process does not exist")
    return found
