"""What clients and a sandbox's supervisor say to each other on its unix socket.

Frames and codec are the agent's (`docs/protocol.md`). Descriptors travel by SCM_RIGHTS with the
first byte of the request they belong to, in the order the message's docstring gives.
"""

from __future__ import annotations

from typing import Final

from enclos.structs import dataclass


@dataclass(frozen=True, slots=True)
class Channels:
    """Which standard streams a process has, and whether they are one terminal.

    `split`: whoever has the terminal's other side reads and writes it by two descriptors.
    """

    stdin: bool = True
    terminal: bool = False
    split: bool = False
    rows: int = 0
    columns: int = 0


@dataclass(frozen=True, slots=True)
class PassedDisk:
    """A block device of the host for linux.devices[`node`], which shows it as `path`."""

    node: int
    path: str
    readonly: bool


@dataclass(frozen=True, slots=True)
class PassedRoot:
    """A file with the file system that is a container's root: type, flags and data of mount(2)."""

    type: str
    flags: int
    data: str
    readonly: bool


@dataclass(frozen=True, slots=True)
class PublishedPort:
    """`count` ports of a container from `port` on, to be reached at the host's from `host_port` on.

    `protocol` is tcp or udp; an empty `host_address` stands for all of the host's.
    """

    protocol: str
    host_address: str
    host_port: int
    port: int
    count: int = 1


@dataclass(frozen=True, slots=True)
class Uplink:
    """A private network with a way out, and `ports` as the ways in. `mac` is the guest's own.

    `name_server` is asked for names in the place of the network's own server, if not empty.
    """

    mac: str = ""
    ports: tuple[PublishedPort, ...] = ()
    name_server: str = ""


@dataclass(frozen=True, slots=True)
class Create:
    """Make a container. Descriptors: root file system tree, one tree per shared source, one
    block device for each of `disks`, the file of a `root`, if any, a disk to be the sandbox's own
    where `local` is not 0, the network namespace, a connected socket where `notices`, then stdin,
    stdout, stderr where `attached` (one descriptor, read and written, with a terminal; its input,
    if any, and its output where that is `split`).

    `spec` is the guest's config.json; `record` the container's record as state/records encodes
    it; `log` the file that output is recorded in, or empty; `shm_…` are the agent's. The machine
    is to have `machine_bytes` of memory and `machine_vcpus` before. With `tied` the streams go with
    the connection: a caller that dies must not leave its descriptors in the hands of a container.
    `network` is where the container's network namespace is found again; with `shared_network` it is
    the host's or others live in it, with `own_network` crun makes the guest's. `notices` says which
    of the container's notices are passed on (`plan/notices`), empty for none. `projected` are the
    names of shared sources that are swapped as a whole. `uplink`, if any, is what there is to be in
    a new network; at `kept_ports` the host lets nobody else listen. `alike` has a text per source:
    those with an equal one, if it is not empty, are the same file or directory with the same
    rights, and mounted once. The guest mounts a `root`,
    of which the host mounts nothing.
    """

    id: str
    spec: str
    record: str
    sources: int
    channels: Channels
    attached: bool
    alike: tuple[str, ...] = ()
    disks: tuple[PassedDisk, ...] = ()
    all_devices: bool = False
    local: int = 0
    log: str = ""
    tied: bool = False
    shm_owner: str = ""
    shm_bytes: int = 0
    machine_bytes: int = 0
    machine_vcpus: int = 0
    network: str = ""
    shared_network: bool = False
    own_network: bool = False
    notices: str = ""
    projected: tuple[str, ...] = ()
    uplink: Uplink | None = None
    kept_ports: tuple[PublishedPort, ...] = ()
    root: PassedRoot | None = None


@dataclass(frozen=True, slots=True)
class Pid:
    """The guest's pid."""

    pid: int


@dataclass(frozen=True, slots=True)
class Named:
    """A container or one of its exec processes."""

    id: str
    exec_id: str = ""


@dataclass(frozen=True, slots=True)
class KeptPorts:
    """A container of which from now on these ports are kept on the host, and no others."""

    id: str
    ports: tuple[PublishedPort, ...] = ()


@dataclass(frozen=True, slots=True)
class Exec:
    """Run one more process. Descriptors and `tied` as in `Create`, without trees."""

    id: str
    exec_id: str
    process: str
    channels: Channels
    attached: bool = True
    tied: bool = False


@dataclass(frozen=True, slots=True)
class Attach:
    """Join a container's streams. Descriptors: stdin if `stdin`, then stdout, stderr; with a
    terminal one descriptor for all."""

    id: str
    stdin: bool
    stdin_ends: bool = True


@dataclass(frozen=True, slots=True)
class Stand:
    """This connection is the stand-in of a process; answered by `Ended` when it has ended."""

    id: str
    exec_id: str = ""
    pid: int = 0


@dataclass(frozen=True, slots=True)
class Update:
    """Change a container's limits in the guest: `resources` is an OCI linux.resources object as
    JSON text; the machine is to have `machine_bytes` of memory and `machine_vcpus` before."""

    id: str
    resources: str
    machine_bytes: int = 0
    machine_vcpus: int = 0


@dataclass(frozen=True, slots=True)
class Watch:
    """Wait until a container has run out of memory more than `kills` times, or has ended."""

    id: str
    kills: int = 0


@dataclass(frozen=True, slots=True)
class Watched:
    """How often it has by now, and whether it has ended."""

    kills: int
    ended: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended: a status as a shell counts it, and why if not by itself.

    `leaving`: the supervisor is about to end as well; who must outlive it waits for that.
    """

    status: int
    reason: str = ""
    leaving: bool = False


@dataclass(frozen=True, slots=True)
class Status:
    """What a sandbox is and how long its phases took, in milliseconds since its start."""

    id: str
    accelerator: str
    template: str
    memory_bytes: int
    vcpus: int
    kernel: str
    phases: dict[str, float]
    pids: dict[str, int]
    console: str


SOCKET_NAME: Final = "supervisor.sock"
"""Name of the socket in the sandbox's directory."""
