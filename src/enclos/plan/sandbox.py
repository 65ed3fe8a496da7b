"""The whole plan of a create: the machine, the container in it, what the host does. PURE.

It can be printed before anything is done: `enclos-oci plan BUNDLE`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from enclos.config.settings import Settings
from enclos.oci import codec
from enclos.oci.types import Hook, Spec
from enclos.plan import podsize, wishes
from enclos.plan.grouping import Group, sandbox_of
from enclos.plan.guestresources import HostLimits
from enclos.plan.guestspec import GuestPlan, HostHooks, Shm, guest_spec
from enclos.plan.joining import Owner, group_with, guest_paths
from enclos.plan.machine import Host, MachinePlan, plan_machine
from enclos.plan.notices import Notices
from enclos.structs import dataclass
from enclos.wire.places import ROOTS_PATH


@dataclass(frozen=True, slots=True)
class SandboxPlan:
    """A container and its machine; `machine` is None where the container joins another's."""

    container_id: str
    group: Group
    machine: MachinePlan | None
    container: GuestPlan
    annotation_notes: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """Everything that will not be as it was written."""
        machine = self.machine.notes if self.machine is not None else ()
        return (*machine, *self.annotation_notes, *self.container.notes)


def plan_sandbox(
    spec: Spec,
    *,
    container_id: str,
    bundle: str,
    settings: Settings,
    host: Host,
    owners: Mapping[str, Owner] | None = None,
    shm_bytes: int = 0,
    sandbox_id: str = "",
    notices: Notices | None = None,
    projected: frozenset[str] = frozenset(),
    own_root: bool = False,
) -> SandboxPlan:
    """The plan for a spec that `validate` has passed; raises `InvalidRequest`.

    `owners` are the containers, by kind, whose namespaces the spec names by path; `shm_bytes` is
    the size of an engine's /dev/shm, which goes with the IPC namespace. `sandbox_id` is a
    sandbox that is there already and that the container has to go into, if not empty. `notices`
    are those that somebody waits for; `projected` are the sources of mounts that their owner
    swaps as a whole. With `own_root` its root file system is a disk, not in the share.
    """
    joined = owners or {}
    group = _group(spec, joined, container_id=container_id, sandbox_id=sandbox_id)
    resources = spec.linux.resources if spec.linux is not None else None
    size = podsize.of_machine(spec.annotations, resources)
    wished = wishes.read(spec.annotations, settings, own=group.own)
    machine = None
    if group.own:
        machine = plan_machine(size, settings=settings, host=host, wishes=wished, grows=group.named)
    memory_of = joined["ipc"].container_id if "ipc" in joined else container_id
    local = tuple(path for path in settings.local_paths.split(":") if path)
    container = guest_spec(
        spec,
        container_id=container_id,
        bundle=bundle,
        joins=guest_paths(joined),
        shm=Shm(memory_of, shm_bytes) if shm_bytes else None,
        local_paths=local if settings.local_disk_bytes else (),
        notices=notices,
        projected=projected,
        root_path=f"{ROOTS_PATH}/{container_id}" if own_root else "",
    )
    return SandboxPlan(container_id, group, machine, container, wished.notes)


def _group(spec: Spec, joined: Mapping[str, Owner], *, container_id: str, sandbox_id: str) -> Group:
    said = sandbox_of(spec.annotations, container_id)
    if not sandbox_id:
        return group_with(said, joined, container_id)
    given = Group(sandbox_id, own=False, named=said.named)
    return replace(group_with(given, joined, container_id), own=False)


def render(plan: SandboxPlan) -> str:
    """The plan as indented JSON, the guest's spec as an object in it."""
    container = plan.container
    document: dict[str, Any] = {
        "containerId": plan.container_id,
        "sandboxId": plan.group.sandbox_id,
        "machine": _machine(plan.machine),
        "rootfs": container.rootfs,
        "sources": [asdict(source) | {"name": source.name} for source in container.sources],
        "network": container.network,
        "hostLimits": _limits(container.limits),
        "hostHooks": _hooks(container.hooks),
        "disks": [asdict(disk) for disk in container.disks],
        "localDirectories": container.local,
        "notices": asdict(container.notices) if container.notices else None,
        "notes": list(plan.notes),
        "guestSpec": json.loads(container.spec_json),
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _machine(machine: MachinePlan | None) -> dict[str, Any] | None:
    if machine is None:
        return None
    return {
        "memoryBytes": machine.memory_bytes,
        "baseMemoryBytes": machine.base_memory_bytes,
        "hotplugBytes": machine.hotplug_bytes,
        "vcpus": machine.vcpus,
        "spareVcpus": machine.spare_vcpus,
        "kernelArguments": machine.kernel_arguments,
        "template": machine.template,
    }


def _limits(limits: HostLimits) -> dict[str, Any]:
    return asdict(limits) | {"blockIO": codec.encode(limits.block_io)}


def _hooks(hooks: HostHooks) -> dict[str, list[Any]]:
    moments: dict[str, tuple[Hook, ...]] = {
        "prestart": hooks.prestart,
        "createRuntime": hooks.create_runtime,
        "poststart": hooks.poststart,
        "poststop": hooks.poststop,
    }
    return {moment: codec.encode(entries) for moment, entries in moments.items() if entries}
