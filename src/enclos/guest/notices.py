"""Sockets at which containers say how they are getting on (sd_notify(3)); the host hears of it.

A socket of the host is only a name here, so each container that is to have one gets one of the
guest's, in a directory that its spec mounts. Who says more than the host takes has to wait, as
the kernel's queue of datagrams is short.
"""

from __future__ import annotations

import os
import socket
from typing import Final

from enclos.guest.agent import Agent
from enclos.guest.loop import READ
from enclos.guest.records import Container
from enclos.ids import check_id
from enclos.wire.messages import Notice
from enclos.wire.places import NOTICES_NAME, NOTICES_PATH

_MOST_BYTES: Final = 4096
"""Of a datagram; the rest is lost, as with runc."""
_AT_ONCE: Final = 16


def listen(agent: Agent, owner: Container) -> None:
    """Take datagrams from now on; raises `OSError`."""
    os.makedirs(_place(owner), exist_ok=True)
    taker = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    owner.notices = taker
    directory = os.open(_place(owner), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        name = f"/proc/self/fd/{directory}/{NOTICES_NAME}"  # a container's id may be long
        taker.bind(name)
        os.chmod(name, 0o777)  # for any user of the container
    finally:
        os.close(directory)
    _watch(agent, owner)


def tell(agent: Agent, owner: Container) -> None:
    """Say what has come since; also called before an exit is told, so as to come first."""
    for _ in range(_AT_ONCE):
        if owner.notices is None:
            return
        if agent.channel.busy:
            agent.loop.forget(owner.notices.fileno())
            agent.channel.when_idle(lambda: _watch(agent, owner))
            return
        try:
            data = owner.notices.recv(_MOST_BYTES)
        except BlockingIOError:
            return
        agent.say("notice", Notice(owner.id, data.hex()))


def forget(agent: Agent, owner: Container) -> None:
    """Take the socket away."""
    if owner.notices is None:
        return
    agent.loop.forget(owner.notices.fileno())
    owner.notices.close()
    owner.notices = None
    name = f"{_place(owner)}/{NOTICES_NAME}"
    if os.path.lexists(name):
        os.unlink(name)
    os.rmdir(_place(owner))


def _watch(agent: Agent, owner: Container) -> None:
    if owner.notices is not None:
        agent.loop.watch(owner.notices.fileno(), READ, lambda _: tell(agent, owner))


def _place(owner: Container) -> str:
    return f"{NOTICES_PATH}/{check_id(owner.id)}"
