"""Which control files of the host's cgroup say what a container's limits say. PURE.

The guest's cgroup has the exact limits. The host's bounds the whole machine: it leaves `Room`
for what the machine needs beside the container, and alone enforces what names the host's CPUs
and block devices (decisions 16 to 18).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from enclos.config.settings import Settings
from enclos.oci.resources import BlockIo, ThrottleDevice, WeightDevice
from enclos.plan.guestresources import HostLimits
from enclos.structs import dataclass

PAGE_TABLE_SHARE: Final = 64
"""A page of 4096 bytes takes 8 in the page tables of each process that maps it, and more."""
_PERIOD_US: Final = 100_000
_RATES: Final = (
    ("throttle_read_bps_device", "throttleReadBpsDevice", "read_bps_device", "rbps"),
    ("throttle_write_bps_device", "throttleWriteBpsDevice", "write_bps_device", "wbps"),
    ("throttle_read_iops_device", "throttleReadIOPSDevice", "read_iops_device", "riops"),
    ("throttle_write_iops_device", "throttleWriteIOPSDevice", "write_iops_device", "wiops"),
)
"""Member here, member in the specification, file of version 1, key of version 2."""


@dataclass(frozen=True, slots=True)
class Control:
    """One thing to write: file and value, and what else may be there in the file's place.

    `member` is where the value comes from. `needed`: nothing else enforces it, so that a kernel
    that refuses it is an error; else it is a bound around the guest's own, which may be missing.
    """

    controller: str
    file: str
    value: str
    member: str
    needed: bool = False
    instead: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Room:
    """What a machine may use beside what its container may: `memory_bytes` beyond `machine_bytes`,
    the machine's own memory."""

    machine_bytes: int
    memory_bytes: int
    cpus: int
    tasks: int


def room(settings: Settings, machine_bytes: int) -> Room:
    """As the settings have it."""
    return Room(
        machine_bytes,
        settings.overhead_memory_bytes,
        settings.overhead_cpus,
        settings.overhead_tasks,
    )


def controls(limits: HostLimits, space: Room, *, unified: bool) -> tuple[Control, ...]:
    """What to write, in this order; `unified` for a host with version 2 only.

    A limit that is not there is not written, so the same serves an update.
    """
    return (
        *_memory(limits, space, unified=unified),
        *_cpu(limits, space, unified=unified),
        *_pids(limits, space),
        *_cpuset(limits),
        *_block_io(limits.block_io or BlockIo(), unified=unified),
        *_unified(limits),
    )


def _memory(limits: HostLimits, space: Room, *, unified: bool) -> Iterator[Control]:
    limit = limits.memory_bytes
    if not limit:
        return
    file = "memory.max" if unified else "memory.limit_in_bytes"
    bound = max(limit, space.machine_bytes)
    bound += bound // PAGE_TABLE_SHARE + space.memory_bytes
    none = "max" if unified else "-1"
    yield Control("memory", file, str(bound) if limit > 0 else none, "memory.limit")


def _cpu(limits: HostLimits, space: Room, *, unified: bool) -> Iterator[Control]:
    if limits.idle is not None:
        yield Control("cpu", "cpu.idle", str(limits.idle), "cpu.idle")
    if limits.shares and limits.idle != 1:  # the kernel refuses a weight for an idle group
        file, value = "cpu.shares", limits.shares
        if unified:
            file, value = "cpu.weight", weight_of_shares(limits.shares)
        yield Control("cpu", file, str(value), "cpu.shares")
    yield from _bandwidth(limits, space, unified=unified)


def _bandwidth(limits: HostLimits, space: Room, *, unified: bool) -> Iterator[Control]:
    period = limits.period_us or _PERIOD_US
    if limits.quota_us is not None:
        bounded = limits.quota_us > 0
        quota = limits.quota_us + space.cpus * period
        if unified:
            value = f"{quota if bounded else 'max'} {period}"
            yield Control("cpu", "cpu.max", value, "cpu.quota")
        else:
            value = str(quota if bounded else -1)
            yield Control("cpu", "cpu.cfs_period_us", str(period), "cpu.period")
            yield Control("cpu", "cpu.cfs_quota_us", value, "cpu.quota")
    if limits.burst_us:
        file = "cpu.max.burst" if unified else "cpu.cfs_burst_us"
        yield Control("cpu", file, str(limits.burst_us), "cpu.burst")


def _pids(limits: HostLimits, space: Room) -> Iterator[Control]:
    if limits.processes:
        bounded = limits.processes > 0
        value = str(limits.processes + space.tasks) if bounded else "max"
        yield Control("pids", "pids.max", value, "pids.limit")


def _cpuset(limits: HostLimits) -> Iterator[Control]:
    for file, value in (("cpus", limits.cpus), ("mems", limits.mems)):
        if value:
            yield Control("cpuset", f"cpuset.{file}", value, f"cpu.{file}", needed=True)


def _block_io(asked: BlockIo, *, unified: bool) -> Iterator[Control]:
    if asked.weight:
        yield _weight(asked.weight, unified=unified)
    if asked.leaf_weight:
        yield _io("blkio.leaf_weight", str(asked.leaf_weight), "leafWeight")
    for device in asked.weight_device:
        yield from _device_weights(device, unified=unified)
    for here, member, file, key in _RATES:
        devices: tuple[ThrottleDevice, ...] = getattr(asked, here)
        for one in devices:
            name = f"{one.major}:{one.minor}"
            if unified:
                yield _io("io.max", f"{name} {key}={one.rate or 'max'}", member)
            else:
                yield _io(f"blkio.throttle.{file}", f"{name} {one.rate}", member)


def _io(file: str, value: str, member: str, instead: tuple[str, str] | None = None) -> Control:
    controller = file.partition(".")[0]
    return Control(controller, file, value, f"blockIO.{member}", needed=True, instead=instead)


def _weight(weight: int, *, unified: bool) -> Control:
    """bfq takes its own weights, and is where version 1 has any since Linux 5.0."""
    if unified:
        share = 1 + (weight - 10) * 9_999 // 990
        return _io("io.bfq.weight", str(weight), "weight", ("io.weight", f"default {share}"))
    return _io("blkio.weight", str(weight), "weight", ("blkio.bfq.weight", str(weight)))


def _device_weights(device: WeightDevice, *, unified: bool) -> Iterator[Control]:
    name = f"{device.major}:{device.minor}"
    value = f"{name} {device.weight}"
    if device.weight and unified:
        yield _io("io.bfq.weight", value, "weightDevice")
    elif device.weight:
        other = ("blkio.bfq.weight_device", value)
        yield _io("blkio.weight_device", value, "weightDevice", other)
    if device.leaf_weight:
        yield _io("blkio.leaf_weight_device", f"{name} {device.leaf_weight}", "weightDevice")


def _unified(limits: HostLimits) -> Iterator[Control]:
    for file, value in limits.unified.items():
        controller = file.partition(".")[0]
        yield Control(controller, file, value, f"unified.{file}", needed=True)


def weight_of_shares(shares: int) -> int:
    """cpu.weight (1 to 10000) for cpu.shares (2 to 262144), as kubelet and runc convert."""
    bounded = min(max(shares, 2), 262_144)
    return 1 + (bounded - 2) * 9_999 // 262_142
