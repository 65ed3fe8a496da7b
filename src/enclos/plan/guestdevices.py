"""Which device nodes of a spec the guest can have. PURE.

A node is a number, and numbers mean something in the guest's kernel, not in the host's: kept
are those that mean the same in every Linux and that the guest's kernel serves. A privileged
container's spec lists every device of the host; there, the others are left out. Anywhere else
somebody asked for the device, and is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from enclos.oci.complaint import refusal
from enclos.oci.linux import Device
from enclos.oci.resources import DeviceRule, Resources

_MEMORY: Final = 1
_TERMINALS: Final = 5
_MISC: Final = 10
_LOOP: Final = 7
_PTS: Final = range(136, 144)
_SERVED_MISC: Final = frozenset({183, 200, 229, 235, 237})
"""hwrng, net/tun, fuse, autofs, loop-control."""


@dataclass(frozen=True, slots=True)
class GuestDevices:
    """Nodes to make in the guest, and what was left out and why."""

    devices: tuple[Device, ...]
    notes: tuple[str, ...] = ()


def choose(devices: tuple[Device, ...], resources: Resources | None) -> GuestDevices:
    """The nodes the guest gets; raises `InvalidRequest` for one it cannot have."""
    kept = tuple(device for device in devices if serves(device))
    left = [device for device in devices if not serves(device)]
    if not left:
        return GuestDevices(kept)
    if resources is None or not any(_is_everything(rule) for rule in resources.devices):
        at = devices.index(left[0])
        raise refusal(
            f"linux.devices[{at}]",
            f"{left[0].path} ({_number(left[0])}) is a device of the host, not of the guest",
            "remove it; the guest has null, zero, random, tty, kmsg, fuse, net/tun, loop",
        )
    names = ", ".join(device.path for device in left[:8])
    more = f" and {len(left) - 8} more" if len(left) > 8 else ""
    note = f"linux.devices: left out, the host's own: {names}{more}"
    return GuestDevices(kept, (note,))


def serves(device: Device) -> bool:
    """Whether the guest's kernel has something behind the device's number."""
    if device.type == "p":
        return True
    if device.type == "b":
        return device.major == _LOOP
    if device.major == _MISC:
        return device.minor in _SERVED_MISC
    return device.major in {_MEMORY, _TERMINALS} or device.major in _PTS


def _is_everything(rule: DeviceRule) -> bool:
    """Whether a rule allows all devices, which is how engines write "privileged"."""
    numbers = {rule.major, rule.minor} <= {None, -1}
    return rule.allow and rule.type in {"", "a"} and numbers and set("rw") <= set(rule.access)


def _number(device: Device) -> str:
    return f"{device.type} {device.major}:{device.minor}"
