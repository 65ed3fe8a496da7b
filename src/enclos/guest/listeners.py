"""Who listens in a network of the containers, told to the host as it changes; and calls to them.

The kernel tells nobody of new listeners, so they are looked for now and then, where the host
asks for it. A call is a connection that the host has taken and hands on as two streams.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import Final

from enclos.errors import GuestFailed, InvalidRequest, NotFound
from enclos.guest import netns
from enclos.guest.agent import Agent
from enclos.guest.netns import GuestNetwork
from enclos.guest.streams import Input, Output, Streams
from enclos.wire.messages import Call, Listener, Listeners, Nothing, Watch

_MOST: Final = 1024
_READ_BYTES: Final = 1 << 18
_LISTEN: Final = "0A"
_TABLES: Final = (("/proc/self/net/tcp", socket.AF_INET), ("/proc/self/net/tcp6", socket.AF_INET6))
_WORD: Final = 8


async def watch(agent: Agent, request: Watch) -> Nothing:
    """Tell of listeners every so often, as long as the network is there."""
    network = _known(agent, request.namespace)
    if request.period_ms < 10:
        raise InvalidRequest(f"a period of {request.period_ms} ms is too short")
    if not network.watched:
        network.watched = True
        _look(agent, network, request.period_ms / 1000, told=())
    return Nothing()


async def call(agent: Agent, request: Call) -> Nothing:
    """Connect to a listener; `inward` goes to it, `outward` comes from it."""
    network = _known(agent, request.namespace)
    numbers = (request.inward, request.outward)
    if any(number in agent.streams or not 0 < number < 1 << 32 for number in numbers):
        raise InvalidRequest(f"stream numbers {numbers} are out of range or in use")
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
    _Sending(agent.streams, request.inward, connection)
    Output(agent.streams, request.outward).attach(os.dup(connection.fileno()))
    return Nothing()


def _known(agent: Agent, name: str) -> GuestNetwork:
    network = agent.networks.get(name)
    if network is None:
        raise NotFound(f"there is no network {name[:60]!r}")
    return network


class _Sending(Input):
    """What the host sends; its end is told to the listener, who may go on talking."""

    def __init__(self, streams: Streams, number: int, connection: socket.socket) -> None:
        super().__init__(streams, number)
        self._connection = connection
        self.attach(os.dup(connection.fileno()))

    def close(self) -> None:
        """See `Input`."""
        super().close()
        try:
            self._connection.shutdown(socket.SHUT_WR)
        except OSError:
            return  # it was never connected, or is no longer
        finally:
            self._connection.close()


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
    """TCP sockets that listen, sorted; the kernel lists them before all others."""
    found: set[tuple[str, int]] = set()
    with netns.inside(network.descriptor):
        for path, family in _TABLES:
            if os.path.exists(path):
                found |= _parsed(path, family)
    return tuple(Listener(address, port) for address, port in sorted(found)[:_MOST])


def _parsed(path: str, family: int) -> set[tuple[str, int]]:
    with open(path, "rb") as file:
        lines = file.read(_READ_BYTES).decode("ascii").splitlines()[1:]
    found: set[tuple[str, int]] = set()
    for line in lines:
        words = line.split()
        if len(words) > 3 and words[3] == _LISTEN:
            address, _, port = words[1].partition(":")
            raw = b"".join(
                int(address[at : at + _WORD], 16).to_bytes(4, "little")
                for at in range(0, len(address), _WORD)
            )
            found.add((socket.inet_ntop(family, raw), int(port, 16)))
    return found
