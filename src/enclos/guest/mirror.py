"""Listeners of a network that others share on the host, mirrored in the guest.

The agent listens at their places: what connects there is carried to the host, and a program that
wants the port is told that it is taken, as it is.
"""

from __future__ import annotations

import itertools
import os
import socket
import struct
from typing import Final

from enclos.errors import NotFound
from enclos.guest import coupling, netns, resolvers
from enclos.guest.agent import Agent
from enclos.guest.loop import READ
from enclos.guest.netns import GuestNetwork
from enclos.linux import listening
from enclos.wire.messages import Nothing
from enclos.wire.netmessages import Admit, Knock, Listener, Mirror

_MOST: Final = 1024
_BACKLOG: Final = 128
_WAITING: Final = 256
_RESET: Final = struct.pack("ii", 1, 0)
_numbers: Final = itertools.count(1)


async def mirror(agent: Agent, request: Mirror) -> Nothing:
    """Listen for each of `found` and no other from now on."""
    network = netns.known(agent.networks, request.namespace)
    wanted = {(one.address, one.port) for one in request.found[:_MOST]}
    for where in [where for where in network.mirrored if where not in wanted]:
        _close(agent, network, where)
    for where in sorted(wanted - network.mirrored.keys(), key=_order):
        _listen(agent, network, where)
    resolvers.mirror(agent, network, {(one.address, one.port) for one in request.resolvers[:_MOST]})
    return Nothing()


async def admit(agent: Agent, request: Admit) -> Nothing:
    """Couple a connection that was told by `knock`, or refuse it if the host does."""
    network = netns.known(agent.networks, request.namespace)
    connection = network.knocking.pop(request.number, None)
    if connection is None:
        raise NotFound(f"nobody knocks by the number {request.number}")
    if request.refused:
        _refuse(connection)
        return Nothing()
    try:
        coupling.check(agent, request.inward, request.outward)
    except BaseException:
        _refuse(connection)
        raise
    coupling.couple(agent, connection, request.inward, request.outward)
    return Nothing()


def forget(agent: Agent, network: GuestNetwork) -> None:
    """Close everything: the network is going."""
    for where in list(network.mirrored):
        _close(agent, network, where)
    for connection in network.knocking.values():
        _refuse(connection)
    network.knocking.clear()
    resolvers.mirror(agent, network, set())


def _close(agent: Agent, network: GuestNetwork, where: tuple[str, int]) -> None:
    listener = network.mirrored.pop(where)
    agent.loop.forget(listener.fileno())
    listener.close()


def _order(where: tuple[str, int]) -> tuple[bool, str, int]:
    """IPv4 first: an IPv6 socket for everybody then keeps to its own."""
    return ":" in where[0], *where


def _listen(agent: Agent, network: GuestNetwork, where: tuple[str, int]) -> None:
    with netns.inside(network.descriptor):
        kind = socket.SOCK_STREAM | socket.SOCK_NONBLOCK
        listener = socket.socket(listening.family(where[0]), kind)
    try:
        listening.bind(listener, where, backlog=_BACKLOG)
    except OSError:  # a program of the guest has it, or the guest lacks the address
        listener.close()
        return
    network.mirrored[where] = listener
    agent.loop.watch(listener.fileno(), READ, lambda _: _accept(agent, network, where, listener))


def _accept(
    agent: Agent, network: GuestNetwork, where: tuple[str, int], listener: socket.socket
) -> None:
    try:
        connection, _ = listener.accept()
    except OSError:
        return  # it went away before it was let in
    if len(network.knocking) >= _WAITING:
        _refuse(connection)
        return
    os.set_blocking(connection.fileno(), False)
    number = next(_numbers)
    network.knocking[number] = connection
    agent.say("knock", Knock(network.name, number, Listener(*where)))


def _refuse(connection: socket.socket) -> None:
    with connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
