"""`update`: new limits for a running container, in the guest, on the host, and written down."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from enclos import log
from enclos.errors import EnclosError, NotFound
from enclos.oci import rules_resources
from enclos.oci.linux import Linux
from enclos.oci.load import dump_resources, dump_spec
from enclos.oci.resources import Memory, Resources
from enclos.oci.types import Spec
from enclos.plan import changes, guestresources, machine
from enclos.plan import hostgroup as bounds
from enclos.plan.guestresources import HostLimits
from enclos.sandbox import cacheclass, hostgroup, reach
from enclos.sandbox.place import Place
from enclos.state import records
from enclos.state.store import StateRoot
from enclos.structs import dataclass
from enclos.wire import control as c
from enclos.wire import messages as m


def update(
    place: Place, container_id: str, new: Resources, *, l3_cache: str = "", bandwidth: str = ""
) -> tuple[str, ...]:
    """Apply `new` on top of the limits in force; what is not as it was asked for, in words.

    The machine grows where a container could not reach its limit in it. Raises `WrongState` for
    a stopped container and `InvalidRequest` for limits that make no sense or cannot be had;
    those in force stay then. `l3_cache` and `bandwidth` are lines of a resctrl schema.
    """
    record, connection = reach.living(place.root, container_id)
    spec = reach.kept_spec(place.root, container_id)
    old = limits_of(spec)
    merged = changes.merge(old, new)
    rules_resources.check_resources(merged)
    divided = guestresources.divide(changes.told(merged, new))
    if l3_cache or bandwidth:
        spec = cacheclass.change(spec, container_id, l3_cache=l3_cache, bandwidth=bandwidth)
    size = machine_size(place, record.sandbox_id, {container_id: merged})
    own = record.sandbox_id == container_id
    space = bounds.room(place.settings, size.memory_bytes if own else 0)
    try:
        hostgroup.limit(record.cgroup, divided.host, space)
        for step in changes.steps(divided.guest):
            request = c.Update(container_id, dump_resources(step), size.memory_bytes, size.vcpus)
            connection.call("update", request, m.Nothing)
    except (EnclosError, OSError):
        before = guestresources.divide(changes.told(old, new)).host
        _restore(record.cgroup, before, space)
        raise
    connection.close()
    linux = replace(spec.linux or Linux(), resources=merged)
    reach.keep_spec(place.root, container_id, dump_spec(replace(spec, linux=linux)))
    notes = (*divided.notes, *_size_notes(place, record.sandbox_id, merged, size))
    for note in notes:
        log.info("not as written", container=container_id, note=note)
    return notes


def limits_of(spec: Spec) -> Resources:
    """What a container may use by its specification."""
    found = spec.linux.resources if spec.linux is not None else None
    return found or Resources()


@dataclass(frozen=True, slots=True)
class Size:
    """What a machine is to have in all."""

    memory_bytes: int
    vcpus: int


def machine_size(place: Place, sandbox_id: str, new: dict[str, Resources]) -> Size:
    """The size of a running machine in which its containers, with `new` limits, have room."""
    now = records.load_sandbox(place.root, sandbox_id)
    wanted = {**_limits_in(place.root, sandbox_id), **new}.values()
    limits = [(resources.memory or Memory()).limit for resources in wanted]
    cpus = [resources.cpu for resources in wanted]
    settings, host = place.settings, place.host
    return Size(
        machine.grown(limits, now.memory_bytes, settings=settings, host=host),
        machine.grown_vcpus(cpus, now.vcpus, settings=settings, host=host),
    )


def _limits_in(root: StateRoot, sandbox_id: str) -> dict[str, Resources]:
    found: dict[str, Resources] = {}
    for record in records.all_containers(root):
        if record.sandbox_id == sandbox_id and record.status != "stopped":
            try:
                found[record.id] = limits_of(reach.kept_spec(root, record.id))
            except NotFound:
                continue  # deleted meanwhile
    return found


def _restore(cgroup: str, before: HostLimits, space: bounds.Room) -> None:
    """Take back what the host was told of an update that the guest has refused."""
    try:
        hostgroup.limit(cgroup, before, space)
    except EnclosError as error:
        log.warning("limits on the host could not be restored", error=error)


def _size_notes(place: Place, sandbox_id: str, merged: Resources, size: Size) -> Iterable[str]:
    """Where a running machine cannot become what it would have been made."""
    limit = (merged.memory or Memory()).limit
    if limit and limit > size.memory_bytes:
        most = size.memory_bytes
        yield f"memory limit of {limit} bytes: the machine gets no more than {most}"
    has = records.load_sandbox(place.root, sandbox_id).vcpus
    if merged.cpu is not None and size.vcpus > has:
        yield f"{size.vcpus} CPUs: the running machine keeps {has}"
