"""What a supervisor holds while its sandbox lives: handles, containers, processes.

Records only; the verbs are in `containers`, the end in `ending`. One supervisor has one
`Sandbox`, reached by every handler of its service.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import field
from itertools import count
from typing import TYPE_CHECKING

from enclos.errors import EnclosError, NotFound
from enclos.structs import dataclass

if TYPE_CHECKING:
    from contextlib import ExitStack

    from enclos.hypervisor.qemu.machine import QemuMachine
    from enclos.sandbox.boot import BootPlan, Launched, Phases
    from enclos.sandbox.notices import Relay
    from enclos.sandbox.outputlog import OutputLog
    from enclos.sandbox.plugging import Attached
    from enclos.state.records import ContainerRecord
    from enclos.state.store import StateRoot
    from enclos.wire.control import Ended
    from enclos.wire.inputs import Input
    from enclos.wire.link import Link
    from enclos.wire.outputs import Output


@dataclass(slots=True)
class Process:
    """A container's init (`exec_id` is empty) or an exec process, alive or ended.

    `ended` is set by the guest's word, `ended_ns` is the time by it, 0 if it had no say; `over`
    is set once its output has been flushed as well. `tied`
    gives back the descriptors that belong to whoever started it and stays with it.
    """

    id: str
    exec_id: str
    terminal: bool
    stdin: Input | None = None
    outputs: list[Output] = field(default_factory=list["Output"])
    ended: Ended | None = None
    ended_ns: int = 0
    over: asyncio.Event = field(default_factory=asyncio.Event)
    standin_pid: int = 0
    tied: list[Callable[[], None]] = field(default_factory=list[Callable[[], None]])
    log: OutputLog | None = None

    def close_log(self) -> None:
        """Record no more output."""
        if self.log is not None:
            self.log.close()

    def discard(self) -> None:
        """Close the streams of a process that has not come to be."""
        self.close_log()
        for output in self.outputs:
            output.discard()
        if self.stdin is not None:
            self.stdin.end()

    def untie(self) -> None:
        """Give the descriptors of a caller that has gone back."""
        for let_go in self.tied:
            let_go()
        self.tied.clear()


@dataclass(slots=True)
class Container:
    """A container of this sandbox, the processes in it, its disks by serial number."""

    record: ContainerRecord
    init: Process
    execs: dict[str, Process] = field(default_factory=dict[str, Process])
    disks: list[str] = field(default_factory=list[str])
    projections: int = -1
    """What tells of swapped volumes, if there are any."""
    memory_kills: int = 0
    relay: Relay | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)
    finishing: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def out_of_memory(self) -> bool:
        """Whether the guest has killed something in it for want of memory."""
        return self.memory_kills > 0

    def tell(self) -> None:
        """Wake everybody who waits for `news` of this container."""
        self.news.set()
        self.news = asyncio.Event()

    def find(self, exec_id: str) -> Process | None:
        """The process called `exec_id`, init if empty; None if there is none (any more)."""
        return self.execs.get(exec_id) if exec_id else self.init

    def process(self, exec_id: str) -> Process:
        """The same; raises `NotFound`."""
        process = self.find(exec_id)
        if process is None:
            raise NotFound(f"exec process {exec_id} does not exist in {self.record.id}")
        return process


@dataclass(slots=True)
class Volume:
    """A directory or file of the host that several containers may have, and those that do."""

    number: int
    users: set[str] = field(default_factory=set[str])


def _nothing(_: Process) -> None:
    return None


@dataclass(slots=True)
class Sandbox:
    """Everything a supervisor owns. `link` and `machine` are there once `ready` is set.

    `outside` is a descriptor of the mount namespace of who started it. `kept_ports` are sockets by
    which nobody else listens at a container's published ports.
    `hosted`: a front end lives in this process, hears of every process by `begun`, and says by
    `ending.stop` when a sandbox without containers is not wanted any more.
    """

    plan: BootPlan
    root: StateRoot
    phases: Phases
    launched: Launched | None = None
    machine: QemuMachine | None = None
    link: Link | None = None
    kernel: str = ""
    containers: dict[str, Container] = field(default_factory=dict[str, Container])
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    failed: EnclosError | None = None
    finish: asyncio.Event = field(default_factory=asyncio.Event)
    clients: set[Link] = field(default_factory=set["Link"])
    tasks: set[asyncio.Task[None]] = field(default_factory=set["asyncio.Task[None]"])
    networks: dict[str, Attached] = field(default_factory=dict[str, "Attached"])
    kept_ports: dict[str, ExitStack] = field(default_factory=dict[str, "ExitStack"])
    ending: bool = False
    outside: int = -1
    has_local_disk: bool = False
    disk_numbers: Iterator[int] = field(default_factory=count)
    volumes: dict[str, Volume] = field(default_factory=dict[str, Volume])
    volume_numbers: Iterator[int] = field(default_factory=count)
    hosted: bool = False
    begun: Callable[[Process], None] = _nothing

    def container(self, name: str) -> Container:
        """The container called `name`; raises `NotFound` with the words engines know."""
        if name not in self.containers:
            raise NotFound(f"container {name}: container does not exist")
        return self.containers[name]

    def the_machine(self) -> QemuMachine:
        """The machine of a booted sandbox."""
        if self.machine is None:
            raise NotFound("the sandbox's machine is not running")
        return self.machine

    def agent(self) -> Link:
        """The link to the agent of a booted sandbox."""
        if self.link is None:
            raise NotFound("the sandbox's guest is not running")
        return self.link
