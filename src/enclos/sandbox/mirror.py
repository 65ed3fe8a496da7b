"""Listeners of others on the host's side of a network, mirrored in the guest: it reaches them, too.

The guest's packets to its own address or to its loopback never leave it. So the agent listens
where others do on the host, and what comes to it there is carried out. Others are whoever shares
the network, a container of another runtime that has joined the guest's, or an engine that serves
names in there.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Coroutine
from dataclasses import field
from typing import Final

from enclos import log
from enclos.errors import EnclosError, Lost
from enclos.linux import listening
from enclos.network import namespace as namespaces
from enclos.network.namespace import Namespace
from enclos.sandbox import coupling, resolvers
from enclos.sandbox.doors import Doors
from enclos.structs import dataclass
from enclos.wire import messages as m
from enclos.wire import netmessages as n
from enclos.wire.link import Link

_MOST: Final = 1024
_MOST_CALLS: Final = 1024
_MOST_REFUSALS: Final = 512
"""Twice what may wait in an honest agent: it can answer and knock again in one go."""
_TIMEOUT_S: Final = 20


@dataclass(slots=True)
class Mirrored:
    """What the guest has of a network's listeners on the host."""

    namespace: Namespace
    told: set[n.Listener] = field(default_factory=set[n.Listener])
    resolvers: set[n.Listener] = field(default_factory=set[n.Listener])
    calls: set[asyncio.Task[None]] = field(default_factory=set["asyncio.Task[None]"])
    following: asyncio.Task[None] | None = None


async def look(mirrored: Mirrored, doors: Doors, link: Link, *, period_s: float) -> None:
    """Mirror what listens now, and look every so often from then on until `close`.

    With a period of 0 it is looked at this once.
    """
    if mirrored.following is not None:
        return
    if period_s:  # before anything is waited for: the next call, or `close`, is to see it
        work = _follow(mirrored, doors, link, period_s)
        mirrored.following = asyncio.get_running_loop().create_task(work)
    await _tell(mirrored, doors, link)


async def _follow(mirrored: Mirrored, doors: Doors, link: Link, period_s: float) -> None:
    failing = False
    while True:
        await asyncio.sleep(period_s)
        try:
            await _tell(mirrored, doors, link)
            failing = False
        except Lost:
            return
        except EnclosError as error:
            if not failing:  # how often it refuses is up to the guest
                log.warning("the guest misses listeners of the host", error=error)
            failing = True


async def _tell(mirrored: Mirrored, doors: Doors, link: Link) -> None:
    """Look, and tell the guest what has changed."""
    namespace = mirrored.namespace
    with namespaces.inside(namespace.descriptor, namespace.path):
        servers = {n.Listener(one, listening.DNS_PORT) for one in listening.resolvers()}
        found = {n.Listener(*one) for one in listening.sockets()}
    others = (found | servers) - doors.open.keys()
    if others == mirrored.told and servers == mirrored.resolvers:
        return
    message = n.Mirror(namespace.name, _listed(others), _listed(servers))
    await link.call("mirror", message, m.Nothing, timeout_s=_TIMEOUT_S)
    mirrored.told, mirrored.resolvers = others, servers


def _listed(found: set[n.Listener]) -> tuple[n.Listener, ...]:
    return tuple(sorted(found, key=lambda one: (one.address, one.port))[:_MOST])


def knock(mirrored: Mirrored, link: Link, told: n.Knock) -> None:
    """Somebody in the guest has connected to a mirrored listener.

    One too many is refused; more than an honest agent has waiting is not answered at all.
    """
    if len(mirrored.calls) >= _MOST_CALLS + _MOST_REFUSALS:
        return
    welcome = told.where in mirrored.told and len(mirrored.calls) < _MOST_CALLS
    _begin(mirrored, _admit(mirrored, link, told, welcome=welcome))


def question(mirrored: Mirrored, link: Link, told: n.Question) -> None:
    """Somebody in the guest asks a mirrored resolver; one too many is lost as datagrams are."""
    if told.where in mirrored.resolvers and len(mirrored.calls) < _MOST_CALLS:
        _begin(mirrored, resolvers.ask(mirrored.namespace, link, told))


def _begin(mirrored: Mirrored, work: Coroutine[None, None, None]) -> None:
    task = asyncio.get_running_loop().create_task(work)
    mirrored.calls.add(task)
    task.add_done_callback(mirrored.calls.discard)


def close(mirrored: Mirrored) -> None:
    """Follow no longer, and end every connection."""
    if mirrored.following is not None:
        mirrored.following.cancel()
        mirrored.following = None
    for task in list(mirrored.calls):
        task.cancel()


async def _admit(mirrored: Mirrored, link: Link, told: n.Knock, *, welcome: bool) -> None:
    connection = await connected(mirrored.namespace, told.where) if welcome else None
    if connection is None:
        refusal = n.Admit(told.namespace, told.number, refused=True)
        try:
            await link.call("admit", refusal, m.Nothing, timeout_s=_TIMEOUT_S)
        except EnclosError as error:
            log.debug("it has gone", error=error)
        return

    def admit(inward: int, outward: int) -> n.Admit:
        return n.Admit(told.namespace, told.number, inward, outward)

    await coupling.couple(link, connection, "admit", admit)


async def connected(namespace: Namespace, where: n.Listener) -> socket.socket | None:
    """A connection to one that listens there; None if it does not answer, or no longer."""
    for called in _called(where.address):
        with namespaces.inside(namespace.descriptor, namespace.path):
            kind = socket.SOCK_STREAM | socket.SOCK_NONBLOCK
            connection = socket.socket(listening.family(called), kind)
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                await asyncio.get_running_loop().sock_connect(connection, (called, where.port))
        except (OSError, TimeoutError) as error:
            connection.close()
            log.debug("a listener of the host does not answer", port=where.port, error=error)
            continue
        except BaseException:
            connection.close()
            raise
        return connection
    return None


def _called(address: str) -> tuple[str, ...]:
    """Where to find one that listens there; docker's namespaces have no ::1, but [::] answers."""
    found = ipaddress.ip_address(address)
    if not found.is_unspecified:
        return (address,)
    return ("127.0.0.1",) if found.version == 4 else ("::1", "127.0.0.1")
