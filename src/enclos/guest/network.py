"""Interfaces of the containers: found as they arrive, named, moved, given what the host has.

The host decides what there is to be; nothing is decided here. What a container's own programs
changed stays as they made it, but for what the host takes away or adds.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import time
from typing import Final

from enclos.errors import GuestFailed, InvalidRequest, TimedOut
from enclos.guest import netns
from enclos.guest.agent import Agent
from enclos.guest.netns import GuestNetwork
from enclos.linux import netlink
from enclos.linux.netlink import Netlink
from enclos.wire import rtnetlink
from enclos.wire.messages import Nothing
from enclos.wire.netmessages import Interface, Network, NetworkEntry
from enclos.wire.places import PORTS_PATH, SPARE_PATH, SPARE_SLOT

_TIMEOUT_S: Final = 20.0
_POLL_S: Final = 0.002
_IPV6: Final = "/proc/sys/net/ipv6/conf"
_ADDRESSES: Final = "/proc/self/net/if_inet6"
_FLAGS: Final = 4
"""Column of an address' flags there (net/ipv6/addrconf.c, `if6_seq_show`)."""
_TENTATIVE: Final = 0x40
_TENTATIVE_POLLS: Final = 25
_GONE: Final = frozenset({errno.ENOENT, errno.ESRCH, errno.ENODEV, errno.EADDRNOTAVAIL})


async def configure(agent: Agent, request: Network) -> Nothing:
    """Make a network what it is to be; raises `GuestFailed` naming what the kernel refused."""
    network = netns.find(agent.networks, request.namespace)
    for index in request.gone:
        _forget(network, index)
    for entry in request.removed:
        _remove(network, entry)
    for interface in request.interfaces:
        if interface.index not in network.indexes:
            await _arrive(agent, network, interface)
        _set_up(network, interface)
    if network.ipv6 != request.ipv6:
        with netns.inside(network.descriptor):
            _switch("lo", "disable_ipv6", not request.ipv6)
        network.ipv6 = request.ipv6
    _try_addresses(network, on=False)  # they are good at once: the host's have been tried
    try:
        for entry in request.added:
            _add(network, entry)
        if any(entry.kind == "address" for entry in request.added):
            await _taken(agent, network)
    finally:
        _try_addresses(network, on=True)
    return Nothing()


def _try_addresses(network: GuestNetwork, *, on: bool) -> None:
    """Whether the kernel asks if somebody else has an address already."""
    with netns.inside(network.descriptor):
        for name in _names(network):
            _switch(name, "accept_dad", on)


async def _taken(agent: Agent, network: GuestNetwork) -> None:
    """Wait until the kernel uses the addresses: what it does with one, it decides a moment after
    the request (net/ipv6/addrconf.c of 6.12, `addrconf_dad_work`). Without a carrier it waits."""
    for _ in range(_TENTATIVE_POLLS):
        with netns.inside(network.descriptor):
            if not _is_tentative():
                return
        await agent.loop.sleep(_POLL_S)


def _is_tentative() -> bool:
    """Whether an address here is not used yet."""
    try:
        with open(_ADDRESSES, encoding="ascii") as file:
            return any(int(line.split()[_FLAGS], 16) & _TENTATIVE for line in file)
    except FileNotFoundError:
        return False  # a kernel without IPv6


def _forget(network: GuestNetwork, index: int) -> None:
    """It has gone; the one of the machine's start only lost its carrier and is taken out here."""
    network.indexes.pop(index, None)
    if network.spare == index:
        network.spare = 0
        with open(f"{SPARE_PATH}/remove", "w", encoding="ascii") as file:
            file.write("1")


async def _arrive(agent: Agent, network: GuestNetwork, interface: Interface) -> None:
    """Wait for the interface at its port and move it."""
    limit = time.monotonic() + _TIMEOUT_S
    while (found := _at_port(interface.slot)) is None:
        if time.monotonic() > limit:
            raise TimedOut(f"no network interface at port {interface.slot} in {_TIMEOUT_S:g} s")
        await agent.loop.sleep(_POLL_S)
    with Netlink() as own:
        moved = rtnetlink.set_link(found, name=interface.name, namespace=network.descriptor)
        _do(own, rtnetlink.NEWLINK, moved, what=f"interface {interface.name}")
    network.indexes[interface.index] = _index(network, interface.name)
    if interface.slot == SPARE_SLOT:
        network.spare = interface.index


def _at_port(slot: int) -> int | None:
    """Number of the interface behind PCI Express port `slot`, while it is in our namespace."""
    port = f"{PORTS_PATH}.{slot:x}"
    if slot == SPARE_SLOT:
        devices = [SPARE_PATH]
    else:
        devices = [f"{port}/{device}" for device in _entries(port, "0000:")]
    for device in devices:
        for virtio in _entries(device, "virtio"):
            for name in _entries(f"{device}/{virtio}/net", ""):
                return _number(f"{device}/{virtio}/net/{name}/ifindex")
    return None


def _number(path: str) -> int | None:
    """What a file says; it may come a moment after its directory."""
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read())
    except FileNotFoundError:
        return None


def _entries(path: str, prefix: str) -> list[str]:
    try:
        return [name for name in os.listdir(path) if name.startswith(prefix)]
    except FileNotFoundError:
        return []


def _names(network: GuestNetwork) -> list[str]:
    """The interfaces that the host knows of, by their names of today; within the namespace."""
    return [name for one in network.indexes.values() if (name := _name(one)) not in {"", "lo"}]


def _name(index: int) -> str:
    """Asked for by itself: a listing of all links costs a clone as much as several addresses."""
    try:
        return socket.if_indextoname(index)
    except OSError:
        return ""


def _index(network: GuestNetwork, name: str) -> int:
    with netns.inside(network.descriptor):
        try:
            return socket.if_nametoindex(name)
        except OSError as error:
            raise GuestFailed(f"interface {name!r} did not arrive in its namespace") from error


def _set_up(network: GuestNetwork, interface: Interface) -> None:
    """Name, hardware address and size; IPv6 makes no address by itself, and waits for none.

    Who asks for a link that came up has the kernel note it now (net/core/rtnetlink.c of 6.12,
    `rtnl_getlink`); by itself it may say for a second that there is no carrier.
    """
    index = network.indexes[interface.index]
    what = f"interface {interface.name}"
    with netns.inside(network.descriptor):
        _switch(interface.name, "disable_ipv6", not interface.ipv6)
        if interface.ipv6:
            _switch(interface.name, "accept_ra", interface.accept_ra)
    body = rtnetlink.set_link(
        index, name=interface.name, mac=interface.mac, mtu=interface.mtu, quiet=interface.ipv6
    )
    _do(network.netlink, rtnetlink.NEWLINK, body, what=what)
    state = rtnetlink.set_link(index, up=interface.up, arp=interface.arp)
    _do(network.netlink, rtnetlink.NEWLINK, state, what=what)
    if interface.up:
        _do(network.netlink, rtnetlink.GETLINK, rtnetlink.set_link(index), what=what)


def _switch(name: str, key: str, value: int) -> None:
    try:
        descriptor = os.open(f"{_IPV6}/{name}/{key}", os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return  # an interface this small has no IPv6 at all
    try:
        os.write(descriptor, b"%d" % value)
    finally:
        os.close(descriptor)


def _add(network: GuestNetwork, entry: NetworkEntry) -> None:
    body = _body(network, entry)
    flags = netlink.CREATE | (netlink.APPEND if entry.kind == "route" else netlink.EXCL)
    kind = rtnetlink.KINDS[entry.kind].new
    _do(network.netlink, kind, body, flags, what=entry.kind, may_exist=True)


def _remove(network: GuestNetwork, entry: NetworkEntry) -> None:
    body = _body(network, entry)
    try:
        network.netlink.request(rtnetlink.KINDS[entry.kind].delete, body)
    except OSError as error:
        if error.errno not in _GONE:
            raise GuestFailed(f"cannot remove {entry.kind}: {error}") from error


def _body(network: GuestNetwork, entry: NetworkEntry) -> bytes:
    """The entry as this kernel counts interfaces; raises `InvalidRequest` for no entry at all."""
    if entry.kind not in rtnetlink.KINDS:
        raise InvalidRequest(f"{entry.kind[:20]!r} is no kind of entry")
    try:
        body = bytes.fromhex(entry.body)
        return rtnetlink.reindexed(entry.kind, body, lambda index: network.indexes[index])
    except (ValueError, KeyError, struct.error) as error:
        raise InvalidRequest(f"{entry.kind} is none: {error!r}") from error


def _do(
    connection: Netlink,
    kind: int,
    body: bytes,
    flags: int = 0,
    *,
    what: str,
    may_exist: bool = False,
) -> None:
    """`may_exist`: the kernel, or a container, may have been there first."""
    try:
        connection.request(kind, body, flags)
    except OSError as error:
        if may_exist and isinstance(error, FileExistsError):
            return
        raise GuestFailed(
            f"cannot set up the network: {what}: {error}",
            hint="see what the container has already: ip address, ip route",
        ) from error
