"""Servers of names on the host's side of a network's loopback, mirrored in the guest.

Engines answer questions for names at an address of the loopback of the container's namespace. A
datagram that comes there in the guest is told to the host, whose answer goes back.
"""

from __future__ import annotations

import itertools
import socket
from typing import Final

from enclos.errors import InvalidRequest
from enclos.guest import netns
from enclos.guest.agent import Agent
from enclos.guest.loop import READ
from enclos.guest.netns import GuestNetwork
from enclos.linux import listening
from enclos.wire.messages import Nothing
from enclos.wire.netmessages import Answer, Listener, Question

_MOST_BYTES: Final = 65_535
_ASKING: Final = 256
_numbers: Final = itertools.count(1)


def mirror(agent: Agent, network: GuestNetwork, wanted: set[tuple[str, int]]) -> None:
    """Take datagrams at `wanted` and nowhere else; a place that the guest has taken stays its."""
    for where in [where for where in network.resolvers if where not in wanted]:
        taker = network.resolvers.pop(where)
        agent.loop.forget(taker.fileno())
        taker.close()
        for number in [n for n, (asked, _) in network.asking.items() if asked is taker]:
            del network.asking[number]
    for where in sorted(wanted - network.resolvers.keys()):
        with netns.inside(network.descriptor):
            kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
            taker = socket.socket(listening.family(where[0]), kind)
        try:
            taker.bind(where)
        except OSError:
            taker.close()
            continue
        network.resolvers[where] = taker
        _watch(agent, network, where, taker)


async def answer(agent: Agent, request: Answer) -> Nothing:
    """Give the answer to who asked; one that nobody waits for any more is dropped."""
    network = netns.known(agent.networks, request.namespace)
    asked = network.asking.pop(request.number, None)
    if asked is None or not request.data:
        return Nothing()
    taker, asker = asked
    try:
        taker.sendto(bytes.fromhex(request.data), asker)
    except OSError:
        return Nothing()  # as a datagram is lost on its way
    except ValueError as error:
        raise InvalidRequest(f"an answer that is not hexadecimal: {error}") from error
    return Nothing()


def _watch(
    agent: Agent, network: GuestNetwork, where: tuple[str, int], taker: socket.socket
) -> None:
    agent.loop.watch(taker.fileno(), READ, lambda _: _ask(agent, network, where, taker))


def _ask(agent: Agent, network: GuestNetwork, where: tuple[str, int], taker: socket.socket) -> None:
    try:
        data, asker = taker.recvfrom(_MOST_BYTES)
    except OSError:
        return  # it was none after all
    if len(network.asking) >= _ASKING:
        return
    number = next(_numbers)
    network.asking[number] = (taker, asker)
    agent.say("question", Question(network.name, number, Listener(*where), data.hex()))
