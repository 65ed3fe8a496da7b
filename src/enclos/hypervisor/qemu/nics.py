"""Network interfaces of a running QEMU: plugged into a PCI Express port and taken away by QMP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, cast

from enclos.errors import EnclosError
from enclos.hypervisor.qemu.argv import SPARE_NETDEV
from enclos.hypervisor.qemu.monitor import Monitor, Value

_UNPLUG_S: Final = 10


async def plug(monitor: Monitor, slot: int, mac: str, descriptors: Sequence[int]) -> None:
    """A virtio-net device at port `slot` that is the other end of a tap; nothing if it fails."""
    names = [f"tap{slot}-{queue}" for queue in range(len(descriptors))]
    for name, descriptor in zip(names, descriptors, strict=True):
        await monitor.hand_over(descriptor, "getfd", {"fdname": name})
    await _plug(monitor, slot, mac, {"type": "tap", _key(names): ":".join(names)}, len(names))


async def plug_stream(monitor: Monitor, slot: int, mac: str, descriptor: int) -> None:
    """A virtio-net device at port `slot` whose packets go through a connected unix socket."""
    name = f"stream{slot}"
    await monitor.hand_over(descriptor, "getfd", {"fdname": name})
    await _plug(monitor, slot, mac, {"type": "socket", "fd": name}, 1)


async def unplug(monitor: Monitor, slot: int) -> None:
    """Take it away; raises `TimedOut` if the guest does not let go of it."""
    async with monitor.expecting("DEVICE_DELETED", timeout_s=_UNPLUG_S) as events:
        await monitor.execute("device_del", {"id": f"nic{slot}"})
        while True:
            event = await events.get()
            if cast("Mapping[str, Value]", event["data"]).get("device") == f"nic{slot}":
                break
    await monitor.execute("netdev_del", {"id": f"net{slot}"})


async def cut_spare(monitor: Monitor) -> None:
    """Let go of what is behind the interface of the start, which stays, without a carrier."""
    await monitor.execute("netdev_del", {"id": SPARE_NETDEV})


def _key(names: Sequence[str]) -> str:
    return "fds" if len(names) > 1 else "fd"


async def _plug(
    monitor: Monitor, slot: int, mac: str, backend: Mapping[str, Value], queues: int
) -> None:
    await monitor.execute("netdev_add", {"id": f"net{slot}", **backend})
    device: dict[str, Value] = {
        "driver": "virtio-net-pci",
        "id": f"nic{slot}",
        "netdev": f"net{slot}",
        "mac": mac,
        "bus": f"port{slot}",
        "romfile": "",
    }
    if queues > 1:
        device |= {"mq": True, "vectors": 2 * queues + 2}
    try:
        await monitor.execute("device_add", device)
    except EnclosError:
        await monitor.execute("netdev_del", {"id": f"net{slot}"})
        raise
