"""`create`: a container, and the sandbox around it unless it joins one that exists.

Runs in the caller, which must be the process that forks the stand-in (decision 1). The caller's
mount namespace is where sources are opened: their detached clones go to the supervisor, which
binds them into the share, and to the stand-in, whose root they make.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from enclos import log
from enclos.errors import EnclosError, InvalidRequest, Lost, NotFound, WrongState
from enclos.linux import fork, libc, mount, namespaces, pid, pidfd
from enclos.network import tenants
from enclos.oci import validate
from enclos.oci.linux import Namespace
from enclos.oci.load import dump_spec
from enclos.oci.types import Process, Spec
from enclos.plan import hostgroup as bounds
from enclos.plan.guestspec import GuestPlan
from enclos.plan.sandbox import SandboxPlan, plan_sandbox
from enclos.sandbox import (
    cacheclass,
    client,
    disksources,
    homes,
    hooks,
    hostgroup,
    notices,
    owners,
    projections,
    reach,
    release,
    sharedmemory,
    sourcekinds,
    standin,
    supervisor,
    trees,
    update,
)
from enclos.sandbox.disksources import RootFile
from enclos.sandbox.hostgroup import Manager
from enclos.sandbox.place import Place
from enclos.state import ledger, records, store
from enclos.state.records import ContainerRecord
from enclos.structs import dataclass
from enclos.wire import control as c
from enclos.wire import messages as m

if TYPE_CHECKING:
    from enclos.network.endpoints import Taken
    from enclos.plan.bridging import Endpoint, Membership

_NAMESPACES: Final = ("network", "ipc", "uts", "cgroup", "pid")
"""Namespaces of the stand-in that follow the spec; mount, and pid unless joined, are its own."""
_LEAVE_TIMEOUT_S: Final = 20


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
    `uplink` is what there is to be in a network of its own. With `membership` it is in a network
    with a name instead, and `told` hears of the addresses it has there. `shm_bytes` is the size of
    a /dev/shm that goes with its IPC namespace, 0 for what its mounts say. With `root_file` the
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
    membership: Membership | None = None
    told: Callable[[Endpoint], None] | None = None
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


def create(place: Place, new: NewContainer) -> Created:
    """Create the container; raises, and leaves nothing behind, if anything fails.

    The caller's process gets a private mount namespace if `mount_root` is given.
    """
    plan = plan_of(place, new)
    with ExitStack() as undo:
        prepared = _take(place, new, plan, undo)
        connection, network = _sandbox(place, prepared, undo)
        made = _create_in(place, prepared, connection, undo, network=network)
        undo.pop_all()
    return made


def plan_of(place: Place, new: NewContainer) -> SandboxPlan:
    """What is to be done for it; raises `InvalidRequest` for what cannot be."""
    validate.validate(new.spec)
    listed = new.spec.linux.namespaces if new.spec.linux else ()
    found = notices.find(new.spec, new.bundle, caller=new.notify)
    served = found.host if found is not None and not found.inner else ""
    sourcekinds.check(new.spec.mounts, new.bundle, served=served)
    return plan_sandbox(
        new.spec,
        container_id=new.id,
        bundle=os.fspath(new.bundle),
        settings=place.settings,
        host=place.host,
        owners=owners.find(place.root, listed),
        shm_bytes=new.shm_bytes or sharedmemory.size_bytes(new.spec.mounts),
        sandbox_id=new.sandbox,
        notices=found,
        projected=projections.find(new.spec.mounts, new.bundle),
        own_root=new.root_file is not None,
    )


def prepare(
    place: Place,
    new: NewContainer,
    plan: SandboxPlan,
    front: Callable[[Prepared], supervisor.Front],
) -> None:
    """Take the names and boot the machine for `new` in a process that is a front end's as well.

    What `front` makes of the prepared container is that front end; it calls `complete`. Raises,
    and leaves nothing behind, if anything fails.
    """
    with ExitStack() as undo:
        prepared = _take(place, new, plan, undo)
        supervisor.fork(_reserve(place, prepared, undo), front(prepared))
        undo.pop_all()


def prepare_here(
    place: Place, new: NewContainer, plan: SandboxPlan
) -> tuple[Prepared, supervisor.Start]:
    """The same in a process that is to be the supervisor itself (`supervisor.fork_waiting`)."""
    with ExitStack() as undo:
        prepared = _take(place, new, plan, undo)
        start = _reserve(place, prepared, undo)
        undo.pop_all()
    return prepared, start


def complete(place: Place, prepared: Prepared, new: NewContainer) -> Created:
    """Create the container that was prepared, now with its root file system and streams."""
    plan = prepared.plan
    if new.root_file is not None:  # of which nobody knew when the machine was planned
        plan = replace(plan, container=plan_of(place, new).container)
    with ExitStack() as undo:
        undo.callback(release.container, place.root, new.id)
        connection = _reach(place, prepared.plan.group.sandbox_id)
        undo.callback(_await_end, connection, new.id)
        made = _create_in(place, replace(prepared, new=new, plan=plan), connection, undo)
        undo.pop_all()
    return made


def _take(place: Place, new: NewContainer, plan: SandboxPlan, undo: ExitStack) -> Prepared:
    for note in plan.notes:
        log.info("not as written", container=new.id, note=note)
    store.reserve(place.root, new.id)
    undo.callback(records.remove_container, place.root, new.id)
    reach.keep_spec(place.root, new.id, dump_spec(new.spec))
    cgroup = _host_group(place, new, plan, undo)
    cache = cacheclass.make(place.root, new.spec, new.id, undo=undo)
    return Prepared(new, plan, cgroup, cache)


def _host_group(place: Place, new: NewContainer, plan: SandboxPlan, undo: ExitStack) -> str:
    """The path of the container's control group on the host, with its limits."""
    path = hostgroup.make(place.root, new.spec, new.id, manager=new.manager, undo=undo)
    machine_bytes = plan.machine.memory_bytes if plan.machine is not None else 0
    space = bounds.room(place.settings, machine_bytes)
    hostgroup.limit(path, plan.container.limits, space)
    return path


def _sandbox(place: Place, prepared: Prepared, undo: ExitStack) -> tuple[client.Connection, int]:
    """A connection to the supervisor of the container's sandbox, which is started if its own.

    And a descriptor of the network namespace that is to be the container's, or -1.
    """
    new, plan = prepared.new, prepared.plan
    if plan.machine is None:
        connection = _reach(place, plan.group.sandbox_id)
        undo.callback(_give_up, connection, new.id)
        return connection, -1
    start = _reserve(place, prepared, undo)
    taken = _addresses(place, new, start.plan.directory, undo)
    with fork.signals_held():
        supervisor.fork(start)
        connection = client.connect(start.plan.directory)
        undo.callback(_await_end, connection, new.id)
    return connection, _connect(taken)


def _addresses(place: Place, new: NewContainer, sandbox: Path, undo: ExitStack) -> Taken | None:
    """The container's place in the network it asks for; the sandbox's end gives it back."""
    if new.membership is None:
        return None
    from enclos.network import endpoints  # late: few containers ask for it
    from enclos.state.networks import Networks

    networks, held = Networks(place.settings.data_root, place.root), ledger.of_sandbox(sandbox)
    taken = endpoints.take(networks, held, new.id, new.membership, kind=release.ENDPOINT)
    undo.callback(endpoints.release, taken.fields)
    if new.told is not None:
        new.told(taken.endpoint)
    return taken


def _connect(taken: Taken | None) -> int:
    if taken is None:
        return -1
    from enclos.network import endpoints

    return endpoints.connect(taken)


def _reserve(place: Place, prepared: Prepared, undo: ExitStack) -> supervisor.Start:
    """Take the sandbox's name; how its machine is to be booted."""
    new, plan = prepared.new, prepared.plan
    if plan.machine is None:
        raise InvalidRequest(f"container {new.id} belongs into the machine of another container")
    directory = store.reserve_sandbox(place.root, plan.group.sandbox_id)
    undo.callback(records.remove_sandbox, place.root, plan.group.sandbox_id)
    return place.plan(
        plan.machine,
        directory,
        hostname=new.spec.hostname or new.id[:12],
        cgroup=prepared.cgroup,
        use_template=new.template,
    )


def _reach(place: Place, sandbox_id: str) -> client.Connection:
    """The machine of the pod, which another container of ours has made."""
    try:
        return client.connect(place.root.sandbox(sandbox_id))
    except NotFound as error:
        raise WrongState(
            f"the pod's machine {sandbox_id[:12]} is not running here",
            hint="give the other container, or the whole pod, this runtime, and start it first",
        ) from error


def _create_in(
    place: Place,
    prepared: Prepared,
    connection: client.Connection,
    undo: ExitStack,
    *,
    network: int = -1,
) -> Created:
    """Create in the sandbox behind `connection`; the descriptor `network` is taken over."""
    new, guest, cgroup = prepared.new, prepared.plan.container, prepared.cgroup
    with ExitStack() as opened:
        _close_later(network, opened)
        root = _root_path(new)
        tree = trees.clone(root, opened, recursive=True)
        sources = [trees.of_source(source, opened) for source in guest.sources]
        record = replace(_record(new, root, prepared.plan.group.sandbox_id), cgroup=cgroup)
        passed = disksources.open_all(guest, place.settings, opened, root=new.root_file)
        standing = opened.enter_context(client.open_socket(place.root.sandbox(record.sandbox_id)))
        entrance = opened.enter_context(hostgroup.entrance(cgroup))
        home = _home(new, guest, root, opened=opened, network=network)
        pid_number = _fork_standin(new, home, standing=standing, entrance=entrance)
        record = replace(record, pid=pid_number, pid_start=pid.start_time(pid_number))
        undo.callback(pidfd.send_signal, record.process, signal.SIGKILL)
        hooks.run(new.spec, ("prestart", "createRuntime"), record, status="creating")
        joined = _network(guest, pid_number, opened)
        size = _joined_size(place, new, record.sandbox_id)
        request = c.Create(
            id=new.id,
            spec=guest.spec_json,
            record=records.encode_container(record),
            sources=len(guest.sources),
            channels=new.channels,
            attached=bool(new.stdio),
            alike=_alike(prepared, sources),
            disks=tuple(c.PassedDisk(d.node, d.path, d.readonly) for d in guest.disks),
            all_devices=guest.all_devices,
            local=guest.local,
            log=new.log,
            tied=new.tied,
            shm_owner=guest.shm.owner if guest.shm else "",
            shm_bytes=guest.shm.size_bytes if guest.shm else 0,
            machine_bytes=size.memory_bytes,
            machine_vcpus=size.vcpus,
            network=joined.path,
            shared_network=joined.shared,
            own_network=guest.own_network,
            notices=guest.notices.kind if guest.notices else "",
            projected=guest.projected,
            uplink=new.uplink,
            kept_ports=new.membership.ports if new.membership is not None else (),
            root=_passed_root(new.root_file),
        )
        told = notices.open_socket(guest.notices, opened)
        given = [tree, *sources, *passed, joined.descriptor, *told, *new.stdio]
        connection.call("create", request, c.Pid, descriptors=given)
        duty = standin.Duty(new.id, "", slave=new.slave)
        standin.tell_size(connection, duty)
        standin.report_for_duty(standing, duty, pid_number)
        cacheclass.join(prepared.cache, connection)
    return Created(replace(record, status="created"), connection)


def _close_later(descriptor: int, opened: ExitStack) -> None:
    if descriptor >= 0:
        opened.callback(os.close, descriptor)


def _passed_root(root: RootFile | None) -> c.PassedRoot | None:
    return c.PassedRoot(root.type, root.flags, root.data, readonly=root.readonly) if root else None


def _alike(prepared: Prepared, sources: Sequence[int]) -> tuple[str, ...]:
    """What has to be alike for others of a pod to share the container's sources; none if alone."""
    group = prepared.plan.group
    if group.own and not group.named:
        return ()
    return trees.likenesses(prepared.plan.container.sources, sources)


def _joined_size(place: Place, new: NewContainer, sandbox_id: str) -> update.Size:
    """What the machine of others has to grow to for one more; nothing where it is its own."""
    if sandbox_id == new.id:
        return update.Size(0, 0)
    return update.machine_size(place, sandbox_id, {new.id: update.limits_of(new.spec)})


def _record(new: NewContainer, root: Path, sandbox_id: str) -> ContainerRecord:
    return ContainerRecord(
        id=new.id,
        sandbox_id=sandbox_id,
        bundle=os.fspath(new.bundle),
        rootfs=os.fspath(root),
        created=records.now(),
        annotations=dict(new.spec.annotations),
        owner=new.owner,
        oci_version=new.spec.oci_version,
        terminal=new.channels.terminal,
    )


def _root_path(new: NewContainer) -> Path:
    if new.mount_root is not None:
        libc.unshare(libc.CLONE_NEWNS)
        mount.make_slave(Path("/"))
        return new.mount_root()
    if new.spec.root is None:
        raise InvalidRequest("config.json: root is missing", hint="give root.path")
    path = new.bundle / new.spec.root.path
    if not path.is_dir():
        raise InvalidRequest(
            f"root file system {path} is not a directory", hint="see root.path in config.json"
        )
    return path


def _home(
    new: NewContainer, guest: GuestPlan, root: Path, *, opened: ExitStack, network: int
) -> homes.Home:
    """Where the stand-in lives: in namespaces as listed, and in `network` if that is one."""
    binds = tuple((trees.of_source(source, opened), source.destination) for source in guest.sources)
    listed = new.spec.linux.namespaces if new.spec.linux else ()
    unshared, joined = _unshared(listed), _joined(listed, opened)
    if network >= 0:
        unshared, joined = unshared & ~libc.CLONE_NEWNET, (*joined, (network, libc.CLONE_NEWNET))
    return homes.Home(
        unshared=unshared,
        joined=joined,
        tree=trees.clone(root, opened, recursive=True),
        binds=binds,
    )


def _fork_standin(
    new: NewContainer, home: homes.Home, *, standing: socket.socket, entrance: Sequence[int]
) -> int:
    """Fork the process that stands for the container; it starts to serve when told."""
    process = new.spec.process or Process()
    duty = standin.Duty(new.id, "", process.args, new.slave, process.oom_score_adj)
    return standin.fork_init(home, duty, standing, entrance=entrance)


@dataclass(frozen=True, slots=True)
class _Network:
    """The container's network namespace: where it is found, and whether others live in it."""

    path: str
    descriptor: int
    shared: bool


def _network(guest: GuestPlan, standin_pid: int, opened: ExitStack) -> _Network:
    """The stand-in's: the one that the spec names, or a new one that engines fill."""
    own = namespaces.path_of("network", standin_pid)
    identity = namespaces.identity_of(own)
    descriptor = namespaces.open_namespace(own)
    opened.callback(os.close, descriptor)
    shared = guest.network != "" and (
        tenants.is_hosts(identity) or any(tenants.others(identity, {standin_pid}))
    )
    return _Network(guest.network or os.fspath(own), descriptor, shared)


def _unshared(listed: Sequence[Namespace]) -> int:
    own = {one.type for one in listed if not one.path and one.type in _NAMESPACES}
    joined = {one.type for one in listed if one.path}
    return namespaces.flags_of(tuple(own | ({"pid"} - joined)))


def _joined(listed: Sequence[Namespace], opened: ExitStack) -> tuple[tuple[int, int], ...]:
    found: list[tuple[int, int]] = []
    for namespace in listed:
        if namespace.path and namespace.type in _NAMESPACES:
            try:
                descriptor = namespaces.open_namespace(Path(namespace.path))
            except OSError as error:
                raise InvalidRequest(
                    f"config.json: linux.namespaces: {namespace.type}: cannot open "
                    f"{namespace.path[:200]}: error {error.errno}"
                ) from error
            opened.callback(os.close, descriptor)
            if not namespaces.is_kind(descriptor, namespace.type):
                raise InvalidRequest(
                    f"config.json: linux.namespaces: {namespace.path[:200]} is no namespace "
                    f"of type {namespace.type}",
                    hint="name a file of /proc/PID/ns, or one that `ip netns add` has made",
                )
            found.append((descriptor, namespaces.FLAGS[namespace.type]))
    return tuple(found)


def _give_up(connection: client.Connection, container_id: str) -> None:
    """Have another's sandbox rid of a container that may have come to be."""
    try:
        connection.call("abandon", c.Named(container_id), m.Nothing, timeout_s=_LEAVE_TIMEOUT_S)
    except EnclosError as error:
        log.info("nothing left to give up", container=container_id, error=error)
    connection.close()


def _await_end(connection: client.Connection, container_id: str) -> None:
    """Wait until a supervisor whose first container failed has released everything."""
    try:
        connection.call("abandon", c.Named(container_id), m.Nothing, timeout_s=_LEAVE_TIMEOUT_S)
        while True:
            connection.receive(timeout_s=_LEAVE_TIMEOUT_S)
    except Lost:
        connection.close()
    except EnclosError:
        connection.close()
        raise
