"""`create`: a container, and the sandbox around it unless it joins one that exists.

Runs in the caller, which must be the process that forks the stand-in (decision 1). The caller's
mount namespace is where sources are opened: their detached clones go to the supervisor, which
binds them into the share, and to the stand-in, whose root they make.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from enclos import log
from enclos.errors import EnclosError, InvalidRequest, Lost, NotFound, WrongState
from enclos.linux import fork
from enclos.oci import validate
from enclos.oci.load import dump_spec
from enclos.plan import hostgroup as bounds
from enclos.plan.sandbox import SandboxPlan, plan_sandbox
from enclos.sandbox import (
    cacheclass,
    client,
    hostgroup,
    making,
    notices,
    owners,
    projections,
    reach,
    release,
    sharedmemory,
    sourcekinds,
    spare,
    supervisor,
)
from enclos.sandbox.newcontainer import Created, NewContainer, Prepared
from enclos.sandbox.place import Place
from enclos.state import ledger, records, store
from enclos.wire import control as c
from enclos.wire import messages as m

if TYPE_CHECKING:
    from enclos.network.endpoints import Taken

_LEAVE_TIMEOUT_S: Final = 20


def create(place: Place, new: NewContainer) -> Created:
    """Create the container; raises, and leaves nothing behind, if anything fails.

    The caller's process gets a private mount namespace if `mount_root` is given.
    """
    plan = plan_of(place, new)
    with ExitStack() as undo:
        prepared = _take(place, new, plan, undo)
        connection, network = _sandbox(place, prepared, undo)
        made = making.create_in(place, prepared, connection, undo, network=network)
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
    *,
    descriptors: Sequence[int],
) -> None:
    """Take the names and boot the machine for `new` in a process that is a front end's as well.

    What `front` makes there of the prepared container is that front end, which has `descriptors`;
    it calls `complete`. Raises, and leaves nothing behind, if anything fails.
    """
    with ExitStack() as undo:
        prepared = _take(place, new, plan, undo)
        start = _reserve(place, prepared, undo)
        supervisor.fork(start, partial(front, prepared), descriptors=descriptors)
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
        made = making.create_in(place, replace(prepared, new=new, plan=plan), connection, undo)
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
    if taken:
        start = _with_interface(start, spare.Wish(taken[0].endpoint.mac))
    with fork.signals_held():
        supervisor.fork(start)
        connection = client.connect(start.plan.directory)
        undo.callback(_await_end, connection, new.id)
    return connection, _connect(taken)


def _addresses(place: Place, new: NewContainer, sandbox: Path, undo: ExitStack) -> list[Taken]:
    """The container's places in the networks it asks for; the sandbox's end gives them back."""
    if not new.memberships:
        return []
    from enclos.network import endpoints  # late: few containers ask for it
    from enclos.state.networks import Networks

    networks, held = Networks(place.settings.data_root, place.root), ledger.of_sandbox(sandbox)
    places: list[Taken] = []
    for asked in new.memberships:
        places.append(endpoints.take(networks, held, new.id, asked, kind=release.ENDPOINT))
        undo.callback(endpoints.release, places[-1].fields)
    if new.told is not None:
        new.told([taken.endpoint for taken in places])
    return places


def _connect(taken: list[Taken]) -> int:
    if not taken:
        return -1
    from enclos.network import endpoints

    return endpoints.connected(taken)


def _reserve(place: Place, prepared: Prepared, undo: ExitStack) -> supervisor.Start:
    """Take the sandbox's name; how its machine is to be booted."""
    new, plan = prepared.new, prepared.plan
    if plan.machine is None:
        raise InvalidRequest(f"container {new.id} belongs into the machine of another container")
    directory = store.reserve_sandbox(place.root, plan.group.sandbox_id)
    undo.callback(records.remove_sandbox, place.root, plan.group.sandbox_id)
    start = place.plan(
        plan.machine,
        directory,
        hostname=new.spec.hostname or new.id[:12],
        cgroup=prepared.cgroup,
        use_template=new.template,
    )
    private = spare.Wish(stream=True) if new.uplink is not None else None
    return _with_interface(start, private or spare.wish(new.spec))


def _with_interface(start: supervisor.Start, wished: spare.Wish | None) -> supervisor.Start:
    return replace(start, plan=replace(start.plan, interface=wished))


def _reach(place: Place, sandbox_id: str) -> client.Connection:
    """The machine of the pod, which another container of ours has made."""
    try:
        return client.connect(place.root.sandbox(sandbox_id))
    except NotFound as error:
        raise WrongState(
            f"the pod's machine {sandbox_id[:12]} is not running here",
            hint="give the other container, or the whole pod, this runtime, and start it first",
        ) from error


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
