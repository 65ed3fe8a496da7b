"""What a shim remembers of its tasks: processes with their streams and how they ended."""

from __future__ import annotations

import asyncio
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from enclos.errors import Exists, NotFound, WrongState
from enclos.oci import types
from enclos.shim.events import Publisher
from enclos.shim.stdio import Stdio
from enclos.structs import dataclass

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

    from enclos.sandbox.live import Process, Sandbox
    from enclos.sandbox.newcontainer import Prepared
    from enclos.sandbox.place import Place


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended, and when by the host's clock."""

    status: int
    time_ns: int


class Told(Protocol):
    """What the answers about a process' end have in common."""

    exit_status: int

    @property
    def exited_at(self) -> Timestamp:
        """When, by the host's clock."""
        ...


@dataclass(slots=True)
class Proc:
    """A task's init (`exec_id` is empty) or an exec process, from its registration on.

    `asked` is what an exec process is to be. `live` is the engine's, once there is one. `busy` is
    held while Create or Start is at work, whose event comes before that of the end; `started` says
    that Start has succeeded. `exit` is set, and told, before `over`.
    """

    id: str
    exec_id: str
    streams: Stdio
    asked: types.Process = field(default_factory=types.Process)
    pid: int = 0
    began_ns: int = 0
    live: Process | None = None
    exit: Exit | None = None
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)
    started: bool = False
    over: asyncio.Event = field(default_factory=asyncio.Event)
    watcher: asyncio.Task[None] | None = None

    def tell_end(self, answer: Told) -> None:
        """Write into `answer` how it ended, if it has."""
        if self.exit is not None:
            answer.exit_status = self.exit.status
            answer.exited_at.FromNanoseconds(self.exit.time_ns)


@dataclass(slots=True)
class Task:
    """A container as containerd sees it; one that is `hidden` it knows as a sandbox only."""

    id: str
    bundle: Path
    init: Proc
    hidden: bool = False
    execs: dict[str, Proc] = field(default_factory=dict[str, Proc])
    watcher: asyncio.Task[None] | None = None
    paused: bool = False

    def proc(self, exec_id: str) -> Proc:
        """The process called `exec_id`, init if empty; raises `NotFound`."""
        if not exec_id:
            return self.init
        if exec_id not in self.execs:
            raise NotFound(f"exec process {exec_id} of {self.id}: no such process")
        return self.execs[exec_id]


@dataclass(slots=True)
class Shim:
    """All that the handlers of one shim work on. `mounts` is containerd's mount namespace."""

    namespace: str
    place: Place
    prepared: Prepared
    mounts: int
    publisher: Publisher
    sandbox: Sandbox
    unified: bool
    """Whether the host has version 2 of control groups only."""
    home: str = ""
    """Where the containers of a pod without a container have their files of /etc."""
    tasks: dict[str, Task] = field(default_factory=dict[str, Task])
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """Nobody needs this shim any more."""
    adopted: set[int] = field(default_factory=set[int])
    """Children that are collected when they end."""
    background: set[asyncio.Task[None]] = field(default_factory=set["asyncio.Task[None]"])

    def task(self, name: str) -> Task:
        """The task called `name`; raises `NotFound` with the words engines know."""
        if name not in self.tasks or self.tasks[name].hidden:
            raise NotFound(f"container {name}: container does not exist")
        return self.tasks[name]

    def add(self, task: Task) -> None:
        """Remember a task; raises `Exists`."""
        if task.id in self.tasks:
            raise Exists(f"container {task.id}: container with given ID already exists")
        self.tasks[task.id] = task

    def check_alive(self) -> None:
        """Raises why the machine does not run, if it does not."""
        if self.sandbox.failed is not None:
            raise self.sandbox.failed
        if self.sandbox.ending:
            raise WrongState("container not running")
