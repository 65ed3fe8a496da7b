"""Types of `linux.resources`: what a container may use.

Values as the specification has them; `None` stands for a member that is not there, which is
not the same as 0.
"""

from __future__ import annotations

from dataclasses import field

from enclos.oci.codec import I64, U16, U32, U64, Extensible
from enclos.structs import dataclass


@dataclass(frozen=True, slots=True)
class DeviceRule(Extensible):
    """One line of the device controller's list. No `type` means all types."""

    allow: bool = False
    type: str = ""
    major: I64 | None = None
    minor: I64 | None = None
    access: str = ""


@dataclass(frozen=True, slots=True)
class Memory(Extensible):
    """Sizes in bytes, -1 for unlimited; `swap` is memory and swap together."""

    limit: I64 | None = None
    reservation: I64 | None = None
    swap: I64 | None = None
    kernel: I64 | None = None
    kernel_tcp: I64 | None = None
    swappiness: U64 | None = None
    disable_oom_killer: bool | None = None
    use_hierarchy: bool | None = None
    check_before_update: bool | None = None


@dataclass(frozen=True, slots=True)
class Cpu(Extensible):
    """Times in microseconds; `cpus` and `mems` name the host's."""

    shares: U64 | None = None
    quota: I64 | None = None
    burst: U64 | None = None
    period: U64 | None = None
    realtime_runtime: I64 | None = None
    realtime_period: U64 | None = None
    cpus: str = ""
    mems: str = ""
    idle: I64 | None = None


@dataclass(frozen=True, slots=True)
class Pids(Extensible):
    """How many tasks; 0 or less for unlimited."""

    limit: I64 | None = None


@dataclass(frozen=True, slots=True)
class WeightDevice(Extensible):
    """Weight of one block device of the host."""

    major: I64 = 0
    minor: I64 = 0
    weight: U16 | None = None
    leaf_weight: U16 | None = None


@dataclass(frozen=True, slots=True)
class ThrottleDevice(Extensible):
    """Rate per second of one block device of the host."""

    major: I64 = 0
    minor: I64 = 0
    rate: U64 = 0


@dataclass(frozen=True, slots=True)
class BlockIo(Extensible):
    """Weights and limits on block devices, which are the host's."""

    weight: U16 | None = None
    leaf_weight: U16 | None = None
    weight_device: tuple[WeightDevice, ...] = ()
    throttle_read_bps_device: tuple[ThrottleDevice, ...] = ()
    throttle_write_bps_device: tuple[ThrottleDevice, ...] = ()
    throttle_read_iops_device: tuple[ThrottleDevice, ...] = ()
    throttle_write_iops_device: tuple[ThrottleDevice, ...] = ()


@dataclass(frozen=True, slots=True)
class HugepageLimit(Extensible):
    """Limit in bytes for one page size, such as `2MB`."""

    page_size: str = ""
    limit: U64 = 0


@dataclass(frozen=True, slots=True)
class InterfacePriority(Extensible):
    """Priority of one network interface."""

    name: str = ""
    priority: U32 = 0


@dataclass(frozen=True, slots=True)
class NetworkClass(Extensible):
    """Marks for the container's packets (net_cls, net_prio: cgroup v1 only)."""

    class_id: U32 | None = None
    priorities: tuple[InterfacePriority, ...] = ()


@dataclass(frozen=True, slots=True)
class Rdma(Extensible):
    """Limits of one RDMA device."""

    hca_handles: U32 | None = None
    hca_objects: U32 | None = None


@dataclass(frozen=True, slots=True)
class Resources(Extensible):
    """All limits of a container."""

    devices: tuple[DeviceRule, ...] = ()
    memory: Memory | None = None
    cpu: Cpu | None = None
    pids: Pids | None = None
    block_io: BlockIo | None = None
    hugepage_limits: tuple[HugepageLimit, ...] = ()
    network: NetworkClass | None = None
    rdma: dict[str, Rdma] = field(default_factory=dict[str, Rdma])
    unified: dict[str, str] = field(default_factory=dict[str, str])
