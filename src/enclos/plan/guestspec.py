"""Turns the host's spec into the guest's config.json and the host's share of the work. PURE.

The spec is honoured twice, by the VM and by crun inside it. What cannot be honoured is refused
by name; what is dropped because it means nothing in a guest is listed in the plan's notes.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import field, replace
from typing import Final

from enclos.oci.complaint import refusal
from enclos.oci.linux import Linux, Namespace
from enclos.oci.load import dump_spec
from enclos.oci.resources import Resources
from enclos.oci.seccomp import Seccomp
from enclos.oci.types import Hook, Hooks, Mount, Process, Root, Spec
from enclos.plan import (
    guestdevices,
    guestlocal,
    guestmounts,
    guestnamespaces,
    guestprocess,
    guestresources,
)
from enclos.plan.guestdevices import GuestDevices, HostDisk
from enclos.plan.guestlocal import LocalPaths
from enclos.plan.guestmounts import GuestMounts, Projected, SharedSource
from enclos.plan.guestprocess import GuestProcess
from enclos.plan.guestresources import DividedLimits, HostLimits
from enclos.plan.notices import Notices
from enclos.structs import dataclass
from enclos.wire.places import BOOT_ID_PATH, CGROUP_PARENT, PROJECTIONS_PATH, SHARE_PATH, SHM_PATH

_CRUNS_OWN: Final = ("run.oci.", "module.wasm.", "org.systemd.property.")


@dataclass(frozen=True, slots=True)
class HostHooks:
    """Hooks of the runtime's namespaces, which are the host's."""

    prestart: tuple[Hook, ...] = ()
    create_runtime: tuple[Hook, ...] = ()
    poststart: tuple[Hook, ...] = ()
    poststop: tuple[Hook, ...] = ()


@dataclass(frozen=True, slots=True)
class Shm:
    """A container's /dev/shm in the guest: whose memory it is, and how much if that is new."""

    owner: str
    size_bytes: int

    @property
    def path(self) -> str:
        """Where the guest has it."""
        return f"{SHM_PATH}/{self.owner}"


@dataclass(frozen=True, slots=True)
class GuestPlan:
    """One container: what the guest is told, and what is left for the host to do.

    `network` is None without a network namespace, else its path on the host, empty for a new
    one. `disks` are block devices to be passed, `local` the number of directories the container
    has on the machine's own disk; with `all_devices` it gets every device node of the guest.
    With `own_network` crun makes the guest's network. `projected` names the sources of which the
    guest has a copy. `notices` are passed on. `notes` say what the guest does not get as written,
    and why.
    """

    spec_json: str
    rootfs: str
    sources: tuple[SharedSource, ...] = ()
    hooks: HostHooks = field(default_factory=HostHooks)
    limits: HostLimits = field(default_factory=HostLimits)
    network: str | None = None
    disks: tuple[HostDisk, ...] = ()
    all_devices: bool = False
    local: int = 0
    own_network: bool = False
    projected: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    shm: Shm | None = None
    notices: Notices | None = None


def guest_spec(
    spec: Spec,
    *,
    container_id: str,
    bundle: str,
    share: str = SHARE_PATH,
    boot_id: str = BOOT_ID_PATH,
    joins: Mapping[str, str] | None = None,
    shm: Shm | None = None,
    local_paths: tuple[str, ...] = (),
    notices: Notices | None = None,
    projected: frozenset[str] = frozenset(),
    root_path: str = "",
) -> GuestPlan:
    """The plan for a spec that `validate` has passed; raises `InvalidRequest`.

    `joins` says what the namespaces with a path are in the guest, by type: a path there, or
    empty for a new one. Only a network namespace may be missing in it: the agent's is joined.
    `shm` is the memory that takes the place of an engine's /dev/shm, `local_paths` what a
    privileged container gets of the machine's own disk, `notices` what it says to who waits,
    `projected` the sources of mounts that are swapped as a whole, `root_path` where the guest has
    a root file system that is not in the share.
    """
    linux = spec.linux or Linux()
    _refuse_impossible(linux)
    directory = f"{share}/{container_id}"
    guest_root = root_path or f"{directory}/rootfs"
    process = notices.told(spec.process or Process()) if notices else spec.process or Process()
    devices = guestdevices.choose(linux.devices, linux.resources)
    parts = _Parts(
        process=guestprocess.translate(process, cpus=guestprocess.host_cpus(linux)),
        mounts=guestmounts.translate(
            spec.mounts,
            bundle=bundle,
            share=directory,
            boot_id=boot_id,
            shm=shm.path if shm else "",
            linux=linux,
            projected=Projected(projected, f"{PROJECTIONS_PATH}/{container_id}"),
        ),
        limits=guestresources.divide(linux.resources or Resources()),
        devices=devices,
        sockets=(notices.mount(container_id),) if notices else (),
        local=_local(spec, container_id, devices, local_paths),
        namespaces=guestnamespaces.translate(linux.namespaces, joins or {}, container_id),
    )
    root = spec.root or Root()
    rootfs = posixpath.normpath(posixpath.join(bundle, root.path))
    guest = replace(
        spec,
        process=parts.process.process,
        root=replace(root, path=guest_root),
        mounts=(*parts.mounts.mounts, *parts.local.mounts, *parts.sockets),
        hooks=_guest_hooks(spec.hooks, rootfs=rootfs, guest_root=guest_root),
        annotations=_annotations(spec.annotations),
        linux=_guest_linux(linux, parts, container_id),
        extra={**spec.extra, **({} if parts.mounts.mounts else {"mounts": []})},
    )
    made = _host_plan(spec, linux, parts)
    return replace(made, spec_json=dump_spec(guest), rootfs=rootfs, shm=shm, notices=notices)


def _local(
    spec: Spec, container_id: str, devices: GuestDevices, usual: tuple[str, ...]
) -> LocalPaths:
    return guestlocal.choose(
        spec.annotations,
        spec.mounts,
        container_id=container_id,
        usual=usual if devices.everything else (),
    )


def _host_plan(spec: Spec, linux: Linux, parts: _Parts) -> GuestPlan:
    """What is left for the host to do."""
    network = linux.namespace("network")
    return GuestPlan(
        spec_json="",
        rootfs="",
        sources=parts.mounts.sources,
        hooks=_host_hooks(spec.hooks),
        limits=parts.limits.host,
        network=network.path if network is not None else None,
        disks=parts.devices.disks,
        all_devices=parts.devices.everything,
        local=len(parts.local.mounts),
        own_network=guestnamespaces.owns_network(linux.namespaces),
        projected=parts.mounts.projected,
        notes=(*_linux_notes(linux), *parts.notes),
    )


@dataclass(frozen=True, slots=True)
class _Parts:
    """What became of the parts of a spec."""

    process: GuestProcess
    mounts: GuestMounts
    limits: DividedLimits
    devices: GuestDevices
    local: LocalPaths
    sockets: tuple[Mount, ...]
    namespaces: tuple[Namespace, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(
            note
            for part in (self.process, self.mounts, self.limits, self.devices)
            for note in part.notes
        )


def _guest_linux(linux: Linux, parts: _Parts, container_id: str) -> Linux:
    return replace(
        linux,
        namespaces=parts.namespaces,
        resources=parts.limits.guest,
        devices=parts.devices.devices,
        cgroups_path=f"{CGROUP_PARENT}/{container_id}",
        intel_rdt=None,
        readonly_paths=_readonly_paths(linux.readonly_paths, parts.mounts.mounts),
        mount_label="",
    )


def _refuse_impossible(linux: Linux) -> None:
    if linux.net_devices:
        hint = "put the interface into the container's network namespace"
        raise refusal("linux.netDevices", "the guest cannot take over host interfaces", hint)
    if linux.memory_policy is not None:
        hint = "remove linux.memoryPolicy; bind the VM's memory by linux.resources.cpu.mems"
        raise refusal("linux.memoryPolicy", "the guest has one memory node only", hint)
    if linux.seccomp is not None:
        _refuse_listener(linux.seccomp)


def _refuse_listener(seccomp: Seccomp) -> None:
    hint = "remove the rules with SCMP_ACT_NOTIFY and listenerPath"
    if seccomp.listener_path:
        wrong = "the host cannot answer for system calls of the guest"
        raise refusal("linux.seccomp.listenerPath", wrong, hint)
    actions = {seccomp.default_action, *(rule.action for rule in seccomp.syscalls)}
    if "SCMP_ACT_NOTIFY" in actions:
        raise refusal("linux.seccomp", "SCMP_ACT_NOTIFY has nobody to notify in the guest", hint)


def _readonly_paths(paths: tuple[str, ...], mounts: tuple[Mount, ...]) -> tuple[str, ...]:
    """crun binds /proc/sys over itself and loses that the boot id's mount was read-only."""
    over = any(mount.destination == guestmounts.BOOT_ID for mount in mounts)
    return (*paths, guestmounts.BOOT_ID) if paths and over else paths


def _guest_hooks(hooks: Hooks | None, *, rootfs: str, guest_root: str) -> Hooks | None:
    """The hooks of the container's namespaces. A program below the root file system is found
    there by its path in the guest; any other path is the guest's own."""
    if hooks is None or not (hooks.create_container or hooks.start_container):
        return None
    prefix = f"{rootfs}/"
    inside = tuple(
        replace(hook, path=f"{guest_root}/{hook.path.removeprefix(prefix)}")
        if hook.path.startswith(prefix)
        else hook
        for hook in hooks.create_container
    )
    return Hooks(create_container=inside, start_container=hooks.start_container)


def _host_hooks(hooks: Hooks | None) -> HostHooks:
    if hooks is None:
        return HostHooks()
    return HostHooks(hooks.prestart, hooks.create_runtime, hooks.poststart, hooks.poststop)


def _annotations(annotations: Mapping[str, str]) -> dict[str, str]:
    """Without those by which a caller could steer the guest's own crun."""
    return {key: text for key, text in annotations.items() if not key.startswith(_CRUNS_OWN)}


def _linux_notes(linux: Linux) -> tuple[str, ...]:
    notes: list[str] = []
    for kind in ("ipc", "pid", "uts"):
        if linux.namespace(kind) is None:
            notes.append(f"linux.namespaces: no {kind}: the guest's own is used, not the host's")
    if linux.mount_label:
        notes.append("linux.mountLabel: dropped, it names a label of the host's policy")
    return tuple(notes)
