"""Who listens in a network of the containers, told to the host as it changes; and calls to them.

The kernel tells nobody of new listeners, so they are looked for now and then, where the host
asks for it. A call is a connection that the host has taken and hands on as two streams.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import Final

from enclos.errors import GuestFailed, InvalidRequest
from enclos.guest import coupling, netns
from enclos.guest.agent import Agent
from enclos.guest.netns import GuestNetwork
from enclos.linux import listening
from enclos.wire.messages import Nothing
from enclos.wire.netmessages import Call, Listener, Listeners, Watch

_MOST: Final = 1024
_SHORTEST_MS: Final = 10


async def watch(agent: Agent, request: Watch) -> Nothing:
    """Tell of listeners every so often, as long as the network is there."""
    network = netns.known(agent.networks, request.namespace)
    if request.period_ms < _SHORTEST_MS:
        raise InvalidRequest(f"a period of {request.period_ms} ms is too short")
    if not network.watched:
        network.watched = True
        _look(agent, network, request.period_ms / 1000, told=())
    return Nothing()


async def call(agent: Agent, request: Call) -> Nothing:
    """Connect to a listener; `inward` goes to it, `outward` comes from it."""
    network = netns.known(agent.networks, request.namespace)
    coupling.check(agent, request.inward, request.outward)
    with netns.inside(network.descriptor):
        family = socket.AF_INET6 if ":" in request.address else socket.AF_INET
        connection = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        failed = connection.connect_ex((request.address, request.port))
    except (OSError, OverflowError) as error:
        connection.close()
        raise InvalidRequest(f"cannot call {request.address[:60]!r}: {error}") from error
    if failed not in {0, errno.EINPROGRESS}:
        connection.close()
        raise GuestFailed(f"nobody listens on port {request.port}: {os.strerror(failed)}")
    coupling.couple(agent, connection, request.inward, request.outward)
    return Nothing()


def _look(
    agent: Agent, network: GuestNetwork, period_s: float, *, told: tuple[Listener, ...]
) -> None:
    if agent.networks.get(network.name) is not network:
        return
    found = _listeners(network)
    if found != told:
        agent.say("listeners", Listeners(network.name, found))
    agent.loop.later(period_s, lambda: _look(agent, network, period_s, told=found))


def _listeners(network: GuestNetwork) -> tuple[Listener, ...]:
    """TCP sockets that listen, sorted; not the agent's own that stand for the host's."""
    with netns.inside(network.descriptor):
        found = listening.sockets() - network.mirrored.keys()
    return tuple(Listener(address, port) for address, port in sorted(found)[:_MOST])
