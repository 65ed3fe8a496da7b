"""A container is made in its sandbox: sources opened, stand-in forked, the supervisor asked."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from enclos.errors import InvalidRequest
from enclos.linux import libc, mount, pid, pidfd
from enclos.oci.types import Process
from enclos.plan.guestspec import GuestPlan
from enclos.sandbox import (
    cacheclass,
    client,
    disksources,
    homes,
    hooks,
    hostgroup,
    notices,
    spaces,
    standin,
    trees,
    update,
)
from enclos.sandbox.disksources import RootFile
from enclos.sandbox.newcontainer import Created, NewContainer, Prepared
from enclos.sandbox.place import Place
from enclos.state import records
from enclos.state.records import ContainerRecord
from enclos.wire import control as c


def create_in(
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
        joined = spaces.network_of(guest, pid_number, opened)
        size = _joined_size(place, new, record.sandbox_id)
        request = _request(prepared, record, joined, size, alike=_alike(prepared, sources))
        told = notices.open_socket(guest.notices, opened)
        given = [tree, *sources, *passed, joined.descriptor, *told, *new.stdio]
        connection.call("create", request, c.Pid, descriptors=given)
        duty = standin.Duty(new.id, "", slave=new.slave)
        standin.tell_size(connection, duty)
        standin.report_for_duty(standing, duty, pid_number)
        cacheclass.join(prepared.cache, connection)
    return Created(replace(record, status="created"), connection)


def _request(
    prepared: Prepared,
    record: ContainerRecord,
    network: spaces.Network,
    size: update.Size,
    *,
    alike: tuple[str, ...],
) -> c.Create:
    new, guest = prepared.new, prepared.plan.container
    return c.Create(
        id=new.id,
        spec=guest.spec_json,
        record=records.encode_container(record),
        sources=len(guest.sources),
        channels=new.channels,
        attached=bool(new.stdio),
        alike=alike,
        disks=tuple(c.PassedDisk(d.node, d.path, d.readonly) for d in guest.disks),
        all_devices=guest.all_devices,
        local=guest.local,
        log=new.log,
        tied=new.tied,
        shm_owner=guest.shm.owner if guest.shm else "",
        shm_bytes=guest.shm.size_bytes if guest.shm else 0,
        machine_bytes=size.memory_bytes,
        machine_vcpus=size.vcpus,
        network=network.path,
        shared_network=network.shared,
        own_network=guest.own_network,
        notices=guest.notices.kind if guest.notices else "",
        projected=guest.projected,
        uplink=new.uplink,
        kept_ports=tuple(port for one in new.memberships for port in one.ports),
        root=_passed_root(new.root_file),
    )


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
    unshared, joined = spaces.unshared(listed), spaces.joined(listed, opened)
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
