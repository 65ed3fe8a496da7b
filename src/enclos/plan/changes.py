"""New limits for a container that has some: what holds afterwards, and what is to be told. PURE.

A member that is not there stays as it is. Who is told gets whole groups of limits (all of
memory, all of CPU), because the kernel judges them together: a swap limit counts the memory's.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TypeVar

from enclos.oci.resources import BlockIo, Cpu, Memory, Resources, ThrottleDevice, WeightDevice

T = TypeVar("T", Memory, Cpu, BlockIo)
D = TypeVar("D", bound=ThrottleDevice | WeightDevice)


def merge(old: Resources, new: Resources) -> Resources:
    """The limits after an update with `new`."""
    pages = {limit.page_size: limit for limit in (*old.hugepage_limits, *new.hugepage_limits)}
    return replace(
        old,
        devices=(*old.devices, *new.devices),
        memory=_memory(old.memory, new.memory),
        cpu=_members(old.cpu, new.cpu),
        pids=new.pids if new.pids is not None and new.pids.limit else old.pids,
        block_io=_block_io(old.block_io, new.block_io),
        hugepage_limits=tuple(pages.values()),
        network=new.network or old.network,
        rdma=old.rdma | new.rdma,
        unified=old.unified | new.unified,
    )


def told(merged: Resources, new: Resources) -> Resources:
    """What a running container's cgroups have to be told for `new`, from the `merged` limits."""
    return replace(
        new,
        memory=merged.memory if new.memory is not None else None,
        cpu=merged.cpu if new.cpu is not None else None,
    )


def steps(guest: Resources) -> tuple[Resources, ...]:
    """The same, one after the other for a guest: an idle group takes no weight, so that it stops
    being idle first, and is not told one as long as it is idle."""
    cpu = guest.cpu
    if guest == Resources():
        return ()
    if cpu is None or cpu.idle is None:
        return (guest,)
    if cpu.idle:
        return (replace(guest, cpu=replace(cpu, shares=None)),)
    awake, rest = Resources(cpu=Cpu(idle=cpu.idle)), replace(cpu, idle=None)
    return awake, replace(guest, cpu=rest)


def _memory(old: Memory | None, new: Memory | None) -> Memory | None:
    """A raised limit takes the one of memory and swap along: docker does not pass on its
    `--memory-swap -1`, and on cgroup v2, where swap is counted by itself, runc does not mind."""
    both = _members(old, new)
    if both is None or new is None or new.swap:
        return both
    if 0 < (both.swap or 0) < (both.limit or 0):
        return replace(both, swap=both.limit)
    return both


def _members(old: T | None, new: T | None) -> T | None:
    """`old` with what is set in `new`."""
    if old is None or new is None:
        return new or old
    values = {entry.name: getattr(new, entry.name) for entry in fields(new)}
    return replace(old, **{name: value for name, value in values.items() if _is_set(name, value)})


def _is_set(name: str, value: object) -> bool:
    """A number of 0 stands for "as it is" with runc and who calls it, but for two."""
    return bool(value) or (value == 0 and name in {"idle", "burst"})


def _block_io(old: BlockIo | None, new: BlockIo | None) -> BlockIo | None:
    both = _members(old, new)
    if both is None or old is None or new is None:
        return both
    return replace(
        both,
        weight_device=_devices(old.weight_device, new.weight_device),
        throttle_read_bps_device=_devices(
            old.throttle_read_bps_device, new.throttle_read_bps_device
        ),
        throttle_write_bps_device=_devices(
            old.throttle_write_bps_device, new.throttle_write_bps_device
        ),
        throttle_read_iops_device=_devices(
            old.throttle_read_iops_device, new.throttle_read_iops_device
        ),
        throttle_write_iops_device=_devices(
            old.throttle_write_iops_device, new.throttle_write_iops_device
        ),
    )


def _devices(old: tuple[D, ...], new: tuple[D, ...]) -> tuple[D, ...]:
    """One entry a device; the new one counts."""
    found: dict[tuple[int, int], D] = {}
    for device in (*old, *new):
        found[device.major, device.minor] = device
    return tuple(found.values())
