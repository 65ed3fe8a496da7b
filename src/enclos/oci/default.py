"""The config.json that `spec` writes: one to begin with, as `runc spec`'s."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from enclos.oci.features import OCI_VERSION_GREATEST
from enclos.oci.linux import IdMapping, Linux, Namespace
from enclos.oci.resources import DeviceRule, Resources
from enclos.oci.types import Capabilities, Mount, Process, Rlimit, Root, Spec

_CAPABILITIES: Final = ("CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE")
_STRICT: Final = ("nosuid", "noexec", "nodev")
_ENVIRONMENT: Final = (
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "TERM=xterm",
)
MASKED_PATHS: Final = (
    "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
    "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi",
)  # fmt: skip
READONLY_PATHS: Final = (
    "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
)  # fmt: skip
_DEVPTS: Final = ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")
_MOUNTS: Final = (
    Mount("/proc", "proc", "proc"),
    Mount("/dev", "tmpfs", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k")),
    Mount("/dev/pts", "devpts", "devpts", _DEVPTS),
    Mount("/dev/shm", "tmpfs", "shm", (*_STRICT, "mode=1777", "size=65536k")),
    Mount("/dev/mqueue", "mqueue", "mqueue", _STRICT),
    Mount("/sys", "sysfs", "sysfs", (*_STRICT, "ro")),
    Mount("/sys/fs/cgroup", "cgroup", "cgroup", (*_STRICT, "relatime", "ro")),
)
_NAMESPACES: Final = ("pid", "network", "ipc", "uts", "mount", "cgroup")


def default_spec() -> Spec:
    """A shell on a terminal, with few capabilities and a read-only root."""
    return Spec(
        oci_version=OCI_VERSION_GREATEST,
        process=_process(),
        root=Root("rootfs", readonly=True),
        hostname="enclos",
        mounts=_MOUNTS,
        linux=Linux(
            resources=Resources(devices=(DeviceRule(allow=False, access="rwm"),)),
            namespaces=tuple(Namespace(kind) for kind in _NAMESPACES),
            masked_paths=MASKED_PATHS,
            readonly_paths=READONLY_PATHS,
        ),
    )


def rootless_spec(*, uid: int, gid: int) -> Spec:
    """The same for the user with these ids: a user namespace, nothing that needs root."""
    spec = default_spec()
    linux = spec.linux or Linux()
    kept = tuple(one for one in linux.namespaces if one.type != "network")
    return replace(
        spec,
        mounts=tuple(_without_root(mount) for mount in spec.mounts),
        linux=replace(
            linux,
            uid_mappings=(IdMapping(0, uid, 1),),
            gid_mappings=(IdMapping(0, gid, 1),),
            namespaces=(*kept, Namespace("user")),
            resources=None,
        ),
    )


def _process() -> Process:
    capabilities = Capabilities(
        bounding=_CAPABILITIES,
        effective=_CAPABILITIES,
        permitted=_CAPABILITIES,
        ambient=_CAPABILITIES,
    )
    return Process(
        terminal=True,
        args=("sh",),
        env=_ENVIRONMENT,
        cwd="/",
        capabilities=capabilities,
        rlimits=(Rlimit("RLIMIT_NOFILE", 1024, 1024),),
        no_new_privileges=True,
    )


def _without_root(mount: Mount) -> Mount:
    """Without owners that the user cannot give, and with /sys as it is."""
    options = tuple(option for option in mount.options if not option.startswith("gid="))
    if mount.type == "sysfs":
        return Mount("/sys", "none", "/sys", ("rbind", *_STRICT, "ro"))
    return replace(mount, options=options)
