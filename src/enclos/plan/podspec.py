"""A pod without a container of its own: the specification that stands for it. PURE.

Where containerd has the shim make sandboxes there is no pause image. Something has to hold the
namespaces that the pod's containers join, and to collect orphans where they share processes: a
placeholder, whose only program is the tool root's busybox. What containerd's own sandboxes find
in /etc and /dev/shm, it leaves to the shim as well.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from typing import Final

from enclos.oci.linux import Linux, Namespace
from enclos.oci.types import Mount, Process, Root, Spec
from enclos.plan.etcfiles import EtcFile, etc_mounts
from enclos.plan.guestmounts import SHM
from enclos.plan.wishes import PREFIX
from enclos.structs import dataclass

ROOTFS: Final = "rootfs"
"""The placeholder's root, empty, in the sandbox's bundle."""
SHM_BYTES: Final = 64 << 20
"""Of the /dev/shm that a pod shares, as containerd's own sandboxes have it."""
BUSYBOX: Final = "usr/bin/busybox"
"""The placeholder's program in the tool root."""
_PROGRAM: Final = "/busybox"
_SCRIPT: Final = f"while :; do {_PROGRAM} sleep 2147483647; done"
"""A shell that waits collects whatever becomes its child."""
_MOUNTS: Final = (
    Mount("/proc", "proc", "proc", ("nosuid", "noexec", "nodev")),
    Mount("/dev", "tmpfs", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k")),
)
_SHARED: Final = Mount(SHM, "bind", "shm", ("rbind", "rprivate", "nosuid", "noexec", "nodev"))
"""Its source is the pod's memory in the guest, which the engine puts in."""
_CRI: Final = "io.kubernetes.cri."
_VERSION: Final = "1.0.2"


@dataclass(frozen=True, slots=True)
class Dns:
    """Name servers, domains to search and options, as in resolv.conf(5)."""

    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pod:
    """What is asked of a pod. `network` is the path of its namespace, empty for the host's."""

    id: str
    hostname: str = ""
    network: str = ""
    host_processes: bool = False
    host_ipc: bool = False
    cgroup_parent: str = ""
    memory_bytes: int = 0
    cpu_quota: int = 0
    cpu_period: int = 0
    sysctls: Mapping[str, str] = field(default_factory=dict[str, str])
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    dns: Dns = field(default_factory=Dns)


def placeholder(pod: Pod, busybox: str) -> Spec:
    """The specification of the container that stands for the pod; `busybox` is a static one.

    Of the pod's annotations it has those for the machine: whoever writes them says nothing to
    which pod a container belongs.
    """
    program = Mount(_PROGRAM, "bind", busybox, ("bind", "ro"))
    return Spec(
        oci_version=_VERSION,
        process=Process(args=(_PROGRAM, "sh", "-c", _SCRIPT), cwd="/", no_new_privileges=True),
        root=Root(ROOTFS, readonly=True),
        hostname=pod.hostname if pod.network else "",
        mounts=(*_MOUNTS, program),
        annotations=_annotations(pod),
        linux=Linux(
            sysctl=dict(pod.sysctls),
            cgroups_path=_cgroups_path(pod),
            namespaces=tuple(_namespaces(pod)),
        ),
    )


def _namespaces(pod: Pod) -> Iterator[Namespace]:
    yield Namespace("mount")
    if not pod.host_processes:
        yield Namespace("pid")
    if not pod.host_ipc:
        yield Namespace("ipc")
    if pod.network:
        yield Namespace("uts")
        yield Namespace("network", pod.network)


def _annotations(pod: Pod) -> dict[str, str]:
    asked = {key: text for key, text in pod.annotations.items() if key.startswith(PREFIX)}
    figures = {
        "sandbox-memory": pod.memory_bytes,
        "sandbox-cpu-quota": pod.cpu_quota,
        "sandbox-cpu-period": pod.cpu_period,
    }
    limits = {f"{_CRI}{name}": str(figure) for name, figure in figures.items() if figure}
    who = {f"{_CRI}container-type": "sandbox", f"{_CRI}sandbox-id": pod.id}
    return {**asked, **limits, **who}


def _cgroups_path(pod: Pod) -> str:
    """As containerd writes it for the containers of the pod."""
    name = posixpath.basename(pod.cgroup_parent)
    if name.endswith(".slice"):
        return f"{name}:cri-containerd:{pod.id}"
    return posixpath.join(pod.cgroup_parent, pod.id) if pod.cgroup_parent else ""


def etc_files(pod: Pod, *, hostname: str, hosts: str, resolv_conf: str) -> tuple[EtcFile, ...]:
    """What the pod's containers find in /etc; the arguments are the host's own."""
    asked = "".join(_resolv_conf(pod.dns))
    return (
        EtcFile("hosts", hosts),
        EtcFile("hostname", f"{pod.hostname or hostname}\n"),
        EtcFile("resolv.conf", asked or resolv_conf),
    )


def _resolv_conf(dns: Dns) -> Iterator[str]:
    if dns.searches:
        yield f"search {' '.join(dns.searches)}\n"
    for server in dns.servers:
        yield f"nameserver {server}\n"
    if dns.options:
        yield f"options {' '.join(dns.options)}\n"


@dataclass(frozen=True, slots=True)
class Member:
    """A container of the pod; `shm_bytes` is the size of the /dev/shm it shares, 0 for none."""

    spec: Spec
    shm_bytes: int


def member(spec: Spec, home: str) -> Member:
    """A container of the pod with what containerd leaves to us; `home` has the files of /etc.

    Whatever it says about these places itself holds, but for a /dev/shm that is only its own.
    """
    targets = {posixpath.normpath(mount.destination) for mount in spec.mounts}
    readonly = spec.root is not None and spec.root.readonly
    shared = tuple(_SHARED if _is_own_shm(mount) else mount for mount in spec.mounts)
    mounts = (*shared, *etc_mounts(home, targets, readonly=readonly))
    return Member(replace(spec, mounts=mounts), SHM_BYTES if _SHARED in shared else 0)


def _is_own_shm(mount: Mount) -> bool:
    return mount.type == "tmpfs" and posixpath.normpath(mount.destination) == SHM
