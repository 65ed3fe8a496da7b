"""What a front end asks `create` for, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from enclos.oci.types import Spec
from enclos.plan.sandbox import SandboxPlan
from enclos.sandbox import client
from enclos.sandbox.disksources import RootFile
from enclos.sandbox.hostgroup import Manager
from enclos.state.records import ContainerRecord
from enclos.structs import dataclass
from enclos.wire import control as c

if TYPE_CHECKING:
    from enclos.plan.bridging import Endpoint, Membership


@dataclass(frozen=True, slots=True)
class NewContainer:
    """What a front end asks for.

    `mount_root` puts the root file system in place in the caller's private mount namespace and
    returns its path; without it `spec.root.path` is used as it is. `stdio` are the descriptors
    of the process: stdin, stdout, stderr, or one terminal; none means that nothing is attached
    yet; with `tied` they are given back when the returned connection ends. `slave` is the terminal
    the stand-in gets as its controlling one, or -1. `manager` says how linux.cgroupsPath is
    written. `sandbox` is the one it goes into; empty for what its annotations and namespaces say.
    At the socket `notify`, if any, somebody waits for the container to be ready (sd_notify(3)).
    `uplink` is what there is to be in a network of its own. With `memberships` it is in networks
    with names instead, and `told` hears of the addresses it has there. `shm_bytes` is the size of a
    /dev/shm that goes with its IPC namespace, 0 for what its mounts say. With `root_file` the
    guest mounts that as its root file system, and what is at `spec.root.path` is the stand-in's.
    """

    id: str
    bundle: Path
    spec: Spec
    channels: c.Channels
    stdio: tuple[int, ...] = ()
    slave: int = -1
    log: str = ""
    owner: str = ""
    template: bool = True
    tied: bool = False
    sandbox: str = ""
    notify: str = ""
    mount_root: Callable[[], Path] | None = None
    manager: Manager = Manager.CGROUPFS
    uplink: c.Uplink | None = None
    memberships: tuple[Membership, ...] = ()
    told: Callable[[Sequence[Endpoint]], None] | None = None
    shm_bytes: int = 0
    root_file: RootFile | None = None


@dataclass(frozen=True, slots=True)
class Created:
    """A created container: its record, and a connection to its supervisor."""

    record: ContainerRecord
    connection: client.Connection


@dataclass(frozen=True, slots=True)
class Prepared:
    """A container whose name is taken: its control group, its class of the processor's cache."""

    new: NewContainer
    plan: SandboxPlan
    cgroup: str
    cache: str
