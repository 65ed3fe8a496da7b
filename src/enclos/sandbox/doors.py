"""Listeners of the guest, opened on the host's side of its network: connections are carried in.

Where a namespace is shared with others (the host's, or another container's) a listener of the
guest listens there at the same address: exactly those, never all ports (decision 25). In a
namespace of the container's own only the loopback needs it: engines that forward ports dial
localhost there. What the guest says is an address and a port to listen on, nothing else.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from dataclasses import field
from functools import partial
from typing import Final

from enclos import log
from enclos.linux import listening
from enclos.network import namespace as namespaces
from enclos.network.namespace import Namespace
from enclos.sandbox import accepting, coupling
from enclos.structs import dataclass
from enclos.wire import netmessages as n
from enclos.wire.link import Link

PERIOD_MS: Final = 500
_BACKLOG: Final = 128
_MOST_DOORS: Final = 1024
_MOST_CALLS: Final = 1024
_LOOPBACKS: Final = ("127.0.0.1", "::1")
_NOT_HERE: Final = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EINVAL}


@dataclass(slots=True)
class Doors:
    """The open doors of one network; `everywhere` if it is shared, else on the loopback only."""

    namespace: Namespace
    everywhere: bool
    open: dict[n.Listener, socket.socket] = field(default_factory=dict[n.Listener, socket.socket])
    calls: set[asyncio.Task[None]] = field(default_factory=set["asyncio.Task[None]"])
    told: set[n.Listener] = field(default_factory=set[n.Listener])
    """Those that were refused, which is logged once, and of no more than fit in here."""


def follow(doors: Doors, link: Link, found: tuple[n.Listener, ...]) -> None:
    """Have a door for each of `found` and for no other."""
    wanted = {where: one for one in found[:_MOST_DOORS] for where in _where(doors, one)}
    for where in [where for where in doors.open if where not in wanted]:
        _close(doors, where)
    for where in sorted(wanted, key=_order):
        if where not in doors.open:
            _open(doors, link, where, wanted[where])


def close(doors: Doors) -> None:
    """Close all, and every call that goes through them."""
    for where in list(doors.open):
        _close(doors, where)
    for task in list(doors.calls):
        task.cancel()


def _where(doors: Doors, listener: n.Listener) -> list[n.Listener]:
    """Where a listener of the guest is to be reached on the host's side."""
    try:
        address = ipaddress.ip_address(listener.address)
    except ValueError:
        return []
    if not 0 < listener.port < 1 << 16:
        return []
    if doors.everywhere or address.is_loopback:
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        return [n.Listener(socket.inet_ntop(family, address.packed), listener.port)]
    if not address.is_unspecified:
        return []
    loopbacks = _LOOPBACKS if address.version == 6 else _LOOPBACKS[:1]
    return [n.Listener(one, listener.port) for one in loopbacks]


def _order(listener: n.Listener) -> tuple[bool, str, int]:
    """IPv4 first: an IPv6 door to everybody then keeps to its own."""
    return ":" in listener.address, listener.address, listener.port


def _open(doors: Doors, link: Link, where: n.Listener, listener: n.Listener) -> None:
    try:
        door = _listening(doors.namespace, where)
    except OSError as error:
        if error.errno in _NOT_HERE or where in doors.told or len(doors.told) >= _MOST_DOORS:
            return
        doors.told.add(where)
        log.warning(
            "a port of the guest cannot be opened on the host",
            address=where.address, port=where.port, error=error.strerror,
        )  # fmt: skip
        return
    doors.open[where] = door
    accepting.accept(door, partial(_knock, doors, link, listener))


def _listening(namespace: Namespace, where: n.Listener) -> socket.socket:
    with namespaces.inside(namespace.descriptor, namespace.path):
        kind = socket.SOCK_STREAM | socket.SOCK_NONBLOCK
        door = socket.socket(listening.family(where.address), kind)
    try:
        listening.bind(door, (where.address, where.port), backlog=_BACKLOG)
    except BaseException:
        door.close()
        raise
    return door


def _close(doors: Doors, where: n.Listener) -> None:
    door = doors.open.pop(where)
    asyncio.get_running_loop().remove_reader(door.fileno())
    door.close()


def _knock(doors: Doors, link: Link, listener: n.Listener, caller: socket.socket) -> None:
    if len(doors.calls) >= _MOST_CALLS:
        coupling.refuse(caller)
        return
    task = asyncio.get_running_loop().create_task(_carry(doors, link, caller, listener))
    doors.calls.add(task)
    task.add_done_callback(doors.calls.discard)


async def _carry(doors: Doors, link: Link, caller: socket.socket, listener: n.Listener) -> None:
    """Carry one connection to its end."""
    called = _called(caller, listener)

    def call(inward: int, outward: int) -> n.Call:
        return n.Call(doors.namespace.name, called, listener.port, inward, outward)

    await coupling.couple(link, caller, "call", call)


def _called(caller: socket.socket, listener: n.Listener) -> str:
    """What to dial in the guest: the listener's own address, or the loopback for any."""
    if not ipaddress.ip_address(listener.address).is_unspecified:
        return listener.address
    own: str = caller.getsockname()[0]
    return _LOOPBACKS[0] if "." in own else _LOOPBACKS[1]
