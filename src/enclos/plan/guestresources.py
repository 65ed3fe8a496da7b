"""Divides a container's limits between the guest's cgroup and the host's. PURE.

The guest's cgroup carries the exact limits. What names the host's CPUs and block devices is
for the host's cgroup (decisions 17 and 18). The guest has cgroup v2 only, and neither swap nor
RDMA devices: what that makes meaningless is dropped with a note where engines set it as a
matter of course, and refused by name where somebody asked for it.
"""

from __future__ import annotations

from dataclasses import field, replace
from typing import Final

from enclos.oci.complaint import refusal
from enclos.oci.resources import BlockIo, Cpu, Memory, Pids, Resources
from enclos.structs import dataclass

_WHERE: Final = "linux.resources"
_LEAST_SHARES: Final = 2


@dataclass(frozen=True, slots=True)
class HostLimits:
    """What the host's cgroup of the VM has to enforce, or to be wide enough for.

    Numbers are the container's own, as the guest has them; None is not set, -1 unlimited.
    """

    memory_bytes: int | None = None
    shares: int | None = None
    quota_us: int | None = None
    period_us: int | None = None
    burst_us: int | None = None
    idle: int | None = None
    processes: int | None = None
    cpus: str = ""
    mems: str = ""
    block_io: BlockIo | None = None
    unified: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class DividedLimits:
    """The guest's part, the host's part, and what was dropped and why."""

    guest: Resources
    host: HostLimits
    notes: tuple[str, ...] = ()


def divide(resources: Resources) -> DividedLimits:
    """Both parts; raises `InvalidRequest` for limits that neither side can enforce."""
    _refuse_impossible(resources)
    cpu = resources.cpu or Cpu()
    host_files = {name for name in resources.unified if name.startswith(("cpuset.", "io."))}
    notes = _memory_notes(resources.memory) if resources.memory is not None else ()
    guest = replace(
        resources,
        memory=_guest_memory(resources.memory),
        cpu=_guest_cpu(resources.cpu),
        pids=_guest_pids(resources.pids),
        block_io=None,
        network=None,
        rdma={},
        unified={k: v for k, v in resources.unified.items() if k not in host_files},
    )
    host = _host_part(guest, cpu, resources, host_files)
    return DividedLimits(guest, host, notes)


def _host_part(
    guest: Resources, cpu: Cpu, resources: Resources, host_files: set[str]
) -> HostLimits:
    memory, shown = guest.memory or Memory(), guest.cpu or Cpu()
    return HostLimits(
        memory_bytes=memory.limit,
        shares=shown.shares,
        quota_us=shown.quota,
        period_us=shown.period,
        burst_us=shown.burst,
        idle=shown.idle,
        processes=guest.pids.limit if guest.pids is not None else None,
        cpus=cpu.cpus,
        mems=cpu.mems,
        block_io=resources.block_io,
        unified={k: v for k, v in resources.unified.items() if k in host_files},
    )


def _refuse_impossible(resources: Resources) -> None:
    if resources.rdma:
        hint = "remove linux.resources.rdma"
        raise refusal(f"{_WHERE}.rdma", "the guest has no RDMA devices", hint)
    network = resources.network
    if network is not None and (network.class_id or network.priorities):
        hint = "mark packets on the host, where they leave the machine"
        raise refusal(f"{_WHERE}.network", "the guest's cgroup v2 has no packet classes", hint)
    cpu = resources.cpu
    if cpu is not None and (cpu.realtime_runtime or cpu.realtime_period):
        hint = "remove realtimeRuntime and realtimePeriod"
        raise refusal(f"{_WHERE}.cpu", "the guest's cgroup v2 has no realtime limits", hint)


def _guest_memory(memory: Memory | None) -> Memory | None:
    """Without what cgroup v2 lacks; 0 means "not set", as runc reads it."""
    if memory is None:
        return None
    return replace(
        memory,
        limit=memory.limit or None,
        reservation=memory.reservation or None,
        swap=memory.swap or None,
        kernel=None,
        kernel_tcp=None,
        swappiness=None,
        disable_oom_killer=None,
        use_hierarchy=None,
    )


def _memory_notes(memory: Memory) -> tuple[str, ...]:
    dropped = {
        "kernel": bool(memory.kernel and memory.kernel > 0),
        "kernelTCP": bool(memory.kernel_tcp and memory.kernel_tcp > 0),
        "swappiness": memory.swappiness is not None and memory.swappiness <= 100,
        "disableOOMKiller": bool(memory.disable_oom_killer),
    }
    return tuple(
        f"{_WHERE}.memory.{name}: dropped, the guest's cgroup v2 does not know it"
        for name, there in dropped.items()
        if there
    )


def _guest_cpu(cpu: Cpu | None) -> Cpu | None:
    """As it is but for what names the host's; 0 means "not set", as runc reads it."""
    if cpu is None:
        return None
    unlimited = cpu.quota is not None and cpu.quota <= 0
    return replace(
        cpu,
        shares=max(cpu.shares, _LEAST_SHARES) if cpu.shares else None,
        quota=-1 if unlimited else cpu.quota,
        period=cpu.period or None,
        realtime_runtime=None,
        realtime_period=None,
        cpus="",
        mems="",
    )


def _guest_pids(pids: Pids | None) -> Pids | None:
    if pids is None or not pids.limit:
        return None
    return replace(pids, limit=max(pids.limit, -1))
