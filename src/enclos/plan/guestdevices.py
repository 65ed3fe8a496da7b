"""Which device nodes of a spec the guest can have, and what is behind them there. PURE.

A node is a number, and numbers mean something in the guest's kernel, not in the host's. Kept are
those that mean the same in every Linux and that the guest's kernel serves. A block device is the
host's and becomes a disk of the machine. A privileged container's spec lists every device of the
host: it gets every device of the guest instead. Anything else is refused by name.
"""

from __future__ import annotations

from typing import Final

from enclos.oci.complaint import refusal
from enclos.oci.linux import Device
from enclos.oci.resources import DeviceRule, Resources
from enclos.structs import dataclass

_MEMORY: Final = 1
_TERMINALS: Final = 5
_MISC: Final = 10
_LOOP: Final = 7
_LOOP_CONTROL: Final = 237
_PTS: Final = range(136, 144)
_SERVED_MISC: Final = frozenset({183, 200, 229, 232, 235, _LOOP_CONTROL})
"""hwrng, net/tun, fuse, kvm, autofs, loop-control."""
MOST_DISKS: Final = 32
"""More than a machine has slots for, which says so itself; a bound for descriptors in a message."""


@dataclass(frozen=True, slots=True)
class HostDisk:
    """A block device of the host that becomes the machine's; `node` is its place in `devices`."""

    node: int
    path: str
    major: int
    minor: int
    readonly: bool


@dataclass(frozen=True, slots=True)
class GuestDevices:
    """Nodes to make in the guest, disks to be had for some of them, what was left out and why.

    `everything`: the container gets all that the guest has, besides.
    """

    devices: tuple[Device, ...]
    disks: tuple[HostDisk, ...] = ()
    everything: bool = False
    notes: tuple[str, ...] = ()


def choose(devices: tuple[Device, ...], resources: Resources | None) -> GuestDevices:
    """The nodes the guest gets; raises `InvalidRequest` for one it cannot have."""
    rules = resources.devices if resources is not None else ()
    everything = any(_is_everything(rule) for rule in rules)
    asked = _chosen(devices) if everything else devices
    own_loops = any(_is_loop_control(device) for device in devices)
    kept: list[Device] = []
    disks: list[HostDisk] = []
    for device in asked:
        if device.type == "b" and not (device.major == _LOOP and own_loops and not everything):
            disks.append(_disk(device, len(kept), rules))
        elif not serves(device):
            raise _refused(device, devices.index(device))
        kept.append(device)
    if len(disks) > MOST_DISKS:
        raise refusal("linux.devices", f"{len(disks)} disks are too many", "pass fewer")
    return GuestDevices(tuple(kept), tuple(disks), everything, _notes(devices, asked))


def serves(device: Device) -> bool:
    """Whether the guest's kernel has something behind the device's number."""
    if device.type == "p":
        return True
    if device.type == "b":
        return device.major == _LOOP
    if device.major == _MISC:
        return device.minor in _SERVED_MISC
    return device.major in {_MEMORY, _TERMINALS} or device.major in _PTS


def _chosen(devices: tuple[Device, ...]) -> tuple[Device, ...]:
    """What somebody asked for by a name of its own, beside being privileged.

    dockerd lists all of the host's, and after them what `--device HOST:OTHER` names: numbers
    that were there before, by other paths.
    """
    first: dict[tuple[str, int, int], str] = {}
    for device in devices:
        first.setdefault(_key(device), device.path)
    found: list[Device] = []
    for device in reversed(devices):
        if first[_key(device)] == device.path:
            break
        found.append(device)
    return tuple(reversed(found))


def _disk(device: Device, node: int, rules: tuple[DeviceRule, ...]) -> HostDisk:
    writable = False
    for rule in rules:
        if _matches(rule, device) and "w" in (rule.access or "rwm"):
            writable = rule.allow
    return HostDisk(node, device.path, device.major, device.minor, readonly=not writable)


def _matches(rule: DeviceRule, device: Device) -> bool:
    return (
        rule.type in {"", "a", device.type}
        and rule.major in {None, -1, device.major}
        and rule.minor in {None, -1, device.minor}
    )


def _is_everything(rule: DeviceRule) -> bool:
    """Whether a rule allows all devices, which is how engines write "privileged"."""
    numbers = {rule.major, rule.minor} <= {None, -1}
    return rule.allow and rule.type in {"", "a"} and numbers and set("rw") <= set(rule.access)


def _is_loop_control(device: Device) -> bool:
    return (device.type, device.major, device.minor) == ("c", _MISC, _LOOP_CONTROL)


def _refused(device: Device, at: int) -> Exception:
    return refusal(
        f"linux.devices[{at}]",
        f"{device.path} ({_number(device)}) is a device of the host, not of the guest",
        "remove it; the guest has null, zero, random, tty, kmsg, fuse, net/tun, loop, and the "
        "host's block devices as disks",
    )


def _notes(devices: tuple[Device, ...], kept: tuple[Device, ...]) -> tuple[str, ...]:
    left = [device for device in devices if device not in kept]
    if not left:
        return ()
    names = ", ".join(device.path for device in left[:8])
    more = f" and {len(left) - 8} more" if len(left) > 8 else ""
    return (f"linux.devices: left out, the host's own: {names}{more}",)


def _key(device: Device) -> tuple[str, int, int]:
    return device.type, device.major, device.minor


def _number(device: Device) -> str:
    return f"{device.type} {device.major}:{device.minor}"
