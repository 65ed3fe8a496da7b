"""Rules about the `linux` section: namespaces, mappings, devices, kernel settings."""

from __future__ import annotations

import posixpath
from typing import Final

from enclos.oci import rules_resources, rules_seccomp
from enclos.oci.complaint import check_known, duplicates, refusal
from enclos.oci.linux import Device, IdMapping, Linux, Namespace
from enclos.oci.names import (
    CLOCKS,
    DEVICE_TYPES,
    IPC_SYSCTLS,
    NAMESPACES,
    PERSONALITIES,
    PROPAGATIONS,
)

_IDS: Final = 2**32
_MAX_MAPPINGS: Final = 340
_MAX_MAJOR: Final = 2**12 - 1
_MAX_MINOR: Final = 2**20 - 1


def check_linux(linux: Linux) -> None:
    """Raises `InvalidRequest` naming the first member that makes no sense."""
    _check_namespaces(linux.namespaces)
    _check_user(linux)
    _check_time(linux)
    _check_sysctls(linux)
    _check_paths(linux)
    for at, device in enumerate(linux.devices):
        _check_device(f"linux.devices[{at}]", device)
    if linux.rootfs_propagation:
        member = "linux.rootfsPropagation"
        check_known(member, linux.rootfs_propagation, PROPAGATIONS, what="propagation")
    if linux.personality is not None:
        member, domain = "linux.personality.domain", linux.personality.domain
        check_known(member, domain, PERSONALITIES, what="domain")
    if linux.intel_rdt is not None:
        _check_clos(linux.intel_rdt.clos_id)
    if linux.resources is not None:
        rules_resources.check_resources(linux.resources)
    if linux.seccomp is not None:
        rules_seccomp.check_seccomp(linux.seccomp)


def check_mappings(where: str, mappings: tuple[IdMapping, ...]) -> None:
    """Raises `InvalidRequest` for ranges the kernel would refuse."""
    if len(mappings) > _MAX_MAPPINGS:
        hint = f"the kernel takes at most {_MAX_MAPPINGS}"
        raise refusal(where, f"{len(mappings)} mappings are too many", hint)
    for at, mapping in enumerate(mappings):
        if mapping.size == 0:
            raise refusal(f"{where}[{at}].size", "an empty range", "give how many ids to map")
        if max(mapping.container_id, mapping.host_id) + mapping.size > _IDS:
            raise refusal(f"{where}[{at}]", "the range ends beyond the last id", "make it smaller")


def _check_namespaces(namespaces: tuple[Namespace, ...]) -> None:
    for at, namespace in enumerate(namespaces):
        where = f"linux.namespaces[{at}]"
        check_known(f"{where}.type", namespace.type, NAMESPACES, what="namespace type")
        if namespace.path and not namespace.path.startswith("/"):
            wrong = f"{namespace.path[:80]!r} is not absolute"
            raise refusal(f"{where}.path", wrong, "write an absolute path, or none")
    for kind in duplicates(namespace.type for namespace in namespaces):
        raise refusal("linux.namespaces", f"{kind!r} is there twice", "keep one of the two")


def _check_user(linux: Linux) -> None:
    user = linux.namespace("user")
    for member, mappings in (
        ("linux.uidMappings", linux.uid_mappings),
        ("linux.gidMappings", linux.gid_mappings),
    ):
        if mappings and user is None:
            hint = 'add {"type":"user"} to linux.namespaces, or remove the mappings'
            raise refusal(member, "mappings without a user namespace", hint)
        if not mappings and user is not None and not user.path:
            hint = 'for example [{"containerID":0,"hostID":100000,"size":65536}]'
            raise refusal(member, "a user namespace without mappings", hint)
        check_mappings(member, mappings)


def _check_time(linux: Linux) -> None:
    if linux.time_offsets and linux.namespace("time") is None:
        hint = 'add {"type":"time"} to linux.namespaces, or remove the offsets'
        raise refusal("linux.timeOffsets", "offsets without a time namespace", hint)
    for clock in linux.time_offsets:
        check_known("linux.timeOffsets", clock, CLOCKS, what="clock")


def _check_sysctls(linux: Linux) -> None:
    for name in linux.sysctl:
        member = f"linux.sysctl[{name[:80]!r}]"
        dotted = _dotted(name)
        needed = _namespace_of(dotted)
        if dotted == "kernel.hostname":
            raise refusal(member, "it conflicts with the hostname", "use the member hostname")
        if not needed:
            hint = "only kernel settings that belong to a namespace can be set"
            raise refusal(member, "it is not in a separate kernel namespace", hint)
        if linux.namespace(needed) is None:
            wrong = f"it is not allowed without a {needed} namespace of its own"
            raise refusal(member, wrong, f'add {{"type":"{needed}"}} to linux.namespaces')


def _dotted(name: str) -> str:
    """The name with dots between its parts; `/` separates if it comes first (sysctl.d(5))."""
    first = next((char for char in name if char in "./"), ".")
    return name if first == "." else name.translate(str.maketrans("./", "/."))


def _namespace_of(sysctl: str) -> str:
    """The type of namespace this kernel setting belongs to, or nothing."""
    if sysctl in IPC_SYSCTLS or sysctl.startswith("fs.mqueue."):
        return "ipc"
    if sysctl.startswith("net."):
        return "network"
    return "uts" if sysctl in {"kernel.domainname", "kernel.hostname"} else ""


def _check_paths(linux: Linux) -> None:
    named = (
        ("linux.maskedPaths", linux.masked_paths),
        ("linux.readonlyPaths", linux.readonly_paths),
    )
    for member, paths in named:
        if paths and linux.namespace("mount") is None:
            wrong = "unable to restrict sys entries without a private MNT namespace"
            raise refusal(member, wrong, 'add {"type":"mount"} to linux.namespaces')
        for at, path in enumerate(paths):
            if not path.startswith("/"):
                wrong = f"{path[:80]!r} is not absolute"
                raise refusal(f"{member}[{at}]", wrong, "write an absolute path")


def _check_device(where: str, device: Device) -> None:
    if not device.path.startswith("/") or posixpath.normpath(device.path) == "/":
        wrong = f"{device.path[:80]!r} is no absolute path of a device"
        raise refusal(f"{where}.path", wrong, "write a path such as /dev/fuse")
    check_known(f"{where}.type", device.type, DEVICE_TYPES, what="device type")
    if device.type == "p":
        return
    if not 0 <= device.major <= _MAX_MAJOR or not 0 <= device.minor <= _MAX_MINOR:
        wrong = f"{device.major}:{device.minor} is no device number"
        raise refusal(where, wrong, "see ls -l of the device")


def _check_clos(name: str) -> None:
    if name in {".", ".."} or "/" in name:
        raise refusal("linux.intelRdt.closID", f"invalid name {name[:80]!r}", "use a plain name")
