"""Types of the specification's `linux` section, resources and seccomp apart."""

from __future__ import annotations

from dataclasses import field

from enclos.oci.codec import I64, U32, Extensible
from enclos.oci.resources import Resources
from enclos.oci.seccomp import Seccomp
from enclos.structs import dataclass


@dataclass(frozen=True, slots=True)
class Namespace(Extensible):
    """A namespace to make, or to join where there is a path."""

    type: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class IdMapping(Extensible):
    """A range of user or group ids."""

    container_id: U32 = 0
    host_id: U32 = 0
    size: U32 = 0


@dataclass(frozen=True, slots=True)
class Device(Extensible):
    """A device node to make in the container."""

    path: str = ""
    type: str = ""
    major: I64 = 0
    minor: I64 = 0
    file_mode: U32 | None = None
    uid: U32 | None = None
    gid: U32 | None = None


@dataclass(frozen=True, slots=True)
class IntelRdt(Extensible):
    """Cache and memory bandwidth of the host's processors."""

    clos_id: str = ""
    schemata: tuple[str, ...] = ()
    l3_cache_schema: str = ""
    mem_bw_schema: str = ""
    enable_cmt: bool = False
    enable_mbm: bool = False
    enable_monitoring: bool = False


@dataclass(frozen=True, slots=True)
class Personality(Extensible):
    """The execution domain."""

    domain: str = ""
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TimeOffset(Extensible):
    """Offset of a clock in a time namespace."""

    secs: I64 = 0
    nanosecs: U32 = 0


@dataclass(frozen=True, slots=True)
class NetDevice(Extensible):
    """A network interface of the host to move into the container; `name` is its new name."""

    name: str = ""


@dataclass(frozen=True, slots=True)
class MemoryPolicy(Extensible):
    """The NUMA policy."""

    mode: str = ""
    nodes: str = ""
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Linux(Extensible):
    """Everything that is particular to Linux."""

    uid_mappings: tuple[IdMapping, ...] = ()
    gid_mappings: tuple[IdMapping, ...] = ()
    sysctl: dict[str, str] = field(default_factory=dict[str, str])
    resources: Resources | None = None
    cgroups_path: str = ""
    namespaces: tuple[Namespace, ...] = ()
    devices: tuple[Device, ...] = ()
    net_devices: dict[str, NetDevice] = field(default_factory=dict[str, NetDevice])
    seccomp: Seccomp | None = None
    rootfs_propagation: str = ""
    masked_paths: tuple[str, ...] = ()
    readonly_paths: tuple[str, ...] = ()
    mount_label: str = ""
    intel_rdt: IntelRdt | None = None
    memory_policy: MemoryPolicy | None = None
    personality: Personality | None = None
    time_offsets: dict[str, TimeOffset] = field(default_factory=dict[str, TimeOffset])

    def namespace(self, kind: str) -> Namespace | None:
        """The entry for this type of namespace, if there is one."""
        return next((one for one in self.namespaces if one.type == kind), None)
