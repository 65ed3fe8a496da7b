"""What the supervisor and the agent say to each other: one dataclass per message.

`METHODS` is the whole vocabulary of requests; `EVENTS` of what the agent says unasked.
A stream number of 0 stands for "no such stream": the process gets /dev/null there.
The host chooses all numbers; streams and requests share one number space.
"""

from __future__ import annotations

from dataclasses import field
from typing import Final

from enclos.structs import dataclass
from enclos.wire.netmessages import (
    Admit,
    Answer,
    Call,
    Knock,
    Listeners,
    Mirror,
    Network,
    Question,
    Watch,
)

STREAM_WINDOW: Final = 1 << 20
"""Bytes a sender may have under way on a stream before the receiver grants more."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """An empty request or reply."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Payload of an ERROR frame: `kind` is a class name of `enclos.errors`."""

    kind: str
    message: str
    hint: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Hello:
    """Who the agent is. `version` is the digest of the guest image's code."""

    version: str
    kernel: str
    monotonic_ns: int


@dataclass(frozen=True, slots=True)
class Identity:
    """What makes a clone itself. `entropy` is hexadecimal, 32 bytes or more."""

    entropy: str
    time_ns: int
    hostname: str
    machine_id: str


@dataclass(frozen=True, slots=True)
class Step:
    """By how much the clock is to be put forward; negative to put it back."""

    offset_ns: int


@dataclass(frozen=True, slots=True)
class Clock:
    """The guest's time after that."""

    time_ns: int


@dataclass(frozen=True, slots=True)
class Online:
    """Wait until the guest has this much online: memory beyond what it booted with, all CPUs."""

    memory_bytes: int
    vcpus: int
    timeout_ms: int = 30_000


@dataclass(frozen=True, slots=True)
class Share:
    """Mount the virtiofs device with this tag at SHARE_PATH."""

    tag: str


@dataclass(frozen=True, slots=True)
class Stdio:
    """Streams of one process. With a terminal only `stdin` and `stdout` are used."""

    stdin: int = 0
    stdout: int = 0
    stderr: int = 0
    terminal: bool = False
    rows: int = 0
    columns: int = 0


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk of the machine, found by its serial number, that is linux.devices[`node`]."""

    serial: str
    node: int


@dataclass(frozen=True, slots=True)
class RootDisk:
    """A disk of the machine, found by its serial number, to be mounted at ROOTS_PATH/ID.

    `type`, `flags` and `data` are those of mount(2).
    """

    serial: str
    type: str
    flags: int
    data: str


@dataclass(frozen=True, slots=True)
class CreateContainer:
    """Make a container; `spec` is the guest's config.json, ready for crun but for devices.

    The numbers of `disks` are filled in; with `all_devices` every device node of the guest is
    added. `local` is how many directories the spec has at LOCAL_PATH/ID/0, 1, …, on the disk
    with the serial LOCAL_SERIAL. With `shm_bytes`, the shared memory of `shm_owner` is made
    before, unless it is there. `network` is the name of the network it is in. The spec finds it
    by the container's id; with `own_network` crun makes it, within a user namespace, and it gets
    the name afterwards. With `notices` there is a socket at NOTICES_PATH/ID/NOTICES_NAME.
    `projected` names the volumes of the share that the container has as copies, below
    PROJECTIONS_PATH/ID. `root` is the disk with its root file system, if that is not in the share.
    """

    id: str
    spec: str
    stdio: Stdio
    shm_owner: str = ""
    shm_bytes: int = 0
    disks: tuple[Disk, ...] = ()
    all_devices: bool = False
    local: int = 0
    network: str = ""
    own_network: bool = False
    notices: bool = False
    projected: tuple[str, ...] = ()
    root: RootDisk | None = None


@dataclass(frozen=True, slots=True)
class Project:
    """A projected volume of a container now has its contents in the directory `data`.

    `name` is its name in the container's directory of the share.
    """

    id: str
    name: str
    data: str


@dataclass(frozen=True, slots=True)
class ExecProcess:
    """Start one more process; `process` is an OCI process object as JSON text."""

    id: str
    exec_id: str
    process: str
    stdio: Stdio


@dataclass(frozen=True, slots=True)
class Started:
    """The guest's pid of what was created or executed."""

    pid: int


@dataclass(frozen=True, slots=True)
class Target:
    """A container, or one of its exec processes where `exec_id` is not empty."""

    id: str
    exec_id: str = ""


@dataclass(frozen=True, slots=True)
class Signal:
    """Send signal `number` (0 only asks); `everyone` means all of the container."""

    id: str
    number: int
    exec_id: str = ""
    everyone: bool = False


@dataclass(frozen=True, slots=True)
class Resize:
    """Set a terminal's size."""

    id: str
    rows: int
    columns: int
    exec_id: str = ""


@dataclass(frozen=True, slots=True)
class Update:
    """`resources` is an OCI linux.resources object as JSON text."""

    id: str
    resources: str


@dataclass(frozen=True, slots=True)
class Stats:
    """A container's figures from its cgroup v2 in the guest, file name to content.

    Keys are file names such as `cpu.stat`; values their text, for the host to parse.
    """

    files: dict[str, str]
    time_ns: int


@dataclass(frozen=True, slots=True)
class Process:
    """One row of the guest's process table. Times in clock ticks of 1/100 s."""

    pid: int
    parent: int
    uid: int
    command: str
    cpu_ticks: int
    start_ticks: int
    rss_bytes: int
    state: str
    terminal: str = "?"


@dataclass(frozen=True, slots=True)
class Processes:
    """All processes of a container, at most a few thousand; `now_ticks` since the guest's boot."""

    rows: tuple[Process, ...]
    now_ticks: int = 0


@dataclass(frozen=True, slots=True)
class Exited:
    """Event: a process of ours ended; `status` as a shell counts it (128+n for signal n)."""

    id: str
    exec_id: str
    status: int
    time_ns: int


@dataclass(frozen=True, slots=True)
class OutOfMemory:
    """Event: the kernel killed something in this container's cgroup."""

    id: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Event: a datagram of a container for who manages it (sd_notify(3)), in hexadecimal."""

    id: str
    data: str


@dataclass(frozen=True, slots=True)
class Trimmed:
    """How much the guest freed and zeroed before its template is saved."""

    zeroed_bytes: int
    kept_bytes: int


@dataclass(frozen=True, slots=True)
class Devices:
    """What the guest sees after a rescan: PCI addresses, sorted."""

    addresses: tuple[str, ...] = field(default=())


METHODS: Final[dict[str, tuple[type, type]]] = {
    "hello": (Nothing, Hello),
    "identify": (Identity, Nothing),
    "clock": (Step, Clock),
    "rescan": (Nothing, Devices),
    "online": (Online, Online),
    "share": (Share, Nothing),
    "network": (Network, Nothing),
    "watch": (Watch, Nothing),
    "call": (Call, Nothing),
    "mirror": (Mirror, Nothing),
    "admit": (Admit, Nothing),
    "answer": (Answer, Nothing),
    "create": (CreateContainer, Started),
    "start": (Target, Nothing),
    "project": (Project, Nothing),
    "exec": (ExecProcess, Started),
    "signal": (Signal, Nothing),
    "resize": (Resize, Nothing),
    "pause": (Target, Nothing),
    "resume": (Target, Nothing),
    "update": (Update, Nothing),
    "stats": (Target, Stats),
    "processes": (Target, Processes),
    "delete": (Target, Nothing),
    "sync": (Nothing, Nothing),
    "trim": (Nothing, Trimmed),
    "poweroff": (Nothing, Nothing),
}

EVENTS: Final[dict[str, type]] = {
    "ready": Hello,
    "exited": Exited,
    "listeners": Listeners,
    "knock": Knock,
    "question": Question,
    "oom": OutOfMemory,
    "notice": Notice,
}
