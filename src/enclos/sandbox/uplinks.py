"""A way out, and published ports, for a machine in a private network: by passt, no root's work.

It works in the supervisor's own network namespace, that of whoever started the container. The
ports are its sockets: they go with it, however it ends. It is started while the machine boots.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from enclos.errors import (
    Exists,
    HostUnfit,
    InvalidRequest,
    MachineFailed,
    TimedOut,
    WrongState,
)
from enclos.linux import namespaces as kinds
from enclos.network import namespace as namespaces
from enclos.plan import uplink as planning
from enclos.plan.network import Wanted
from enclos.sandbox import sharing
from enclos.sandbox.live import Sandbox
from enclos.sandbox.sharing import Helper
from enclos.structs import dataclass
from enclos.wire import control as c
from enclos.wire.control import PublishedPort, Uplink

_READY_S: Final = 20.0
_POLL_S: Final = 0.002
_LOCKED_IN: Final = "Seccomp:\t2"


@dataclass(slots=True)
class Uplinked:
    """A private network's way out: what the guest `wanted`, and a passt that waits for its use."""

    asked: Uplink
    network: int
    ipv6: bool
    wanted: Wanted
    helper: Helper | None = None


async def begin(sandbox: Sandbox, asked: Uplink, stack: ExitStack) -> Uplinked:
    """Start it, if the machine is under way; `stack` gives it back.

    Raises `Exists` for a port that is taken.
    """
    path = os.fspath(kinds.path_of("network"))
    network = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    stack.callback(os.close, network)
    with namespaces.opened(os.dup(network), path) as namespace:
        ipv6 = planning.speaks_ipv6(namespaces.look(namespace))
    uplinked = Uplinked(asked, network, ipv6, planning.wanted(asked, ipv6=ipv6))
    stack.callback(_give_up, uplinked)
    if sandbox.launched is not None:  # else a template is made first, and its interface not known
        uplinked.helper = await _started(sandbox, uplinked)
    return uplinked


async def take(sandbox: Sandbox, uplinked: Uplinked) -> Helper:
    """The passt that waits, or a new one where that has been used; the caller gives it back."""
    helper, uplinked.helper = uplinked.helper, None
    return helper if helper is not None else await _started(sandbox, uplinked)


def _give_up(uplinked: Uplinked) -> None:
    if uplinked.helper is not None:
        uplinked.helper.stack.close()


async def _started(sandbox: Sandbox, uplinked: Uplinked) -> Helper:
    with ExitStack() as tried:
        keep(uplinked.asked.ports, tried)
    options = planning.options(uplinked.asked, ipv6=uplinked.ipv6)
    low = planning.privileged(uplinked.asked)
    helper = await sharing.begin(sandbox, uplinked.network, options, low_ports=low)
    try:
        await _wait_ready(helper)
    except BaseException:
        helper.stack.close()
        raise
    return helper


async def _wait_ready(helper: Helper) -> None:
    """Until it has locked itself in, which it does when it has its ports; or ends instead."""
    status = Path(f"/proc/{helper.process.pid}/status")
    deadline = asyncio.get_running_loop().time() + _READY_S
    while asyncio.get_running_loop().time() < deadline:
        text = status.read_text(encoding="utf-8")
        if _LOCKED_IN in text:
            return
        if "State:\tZ" in text:
            helper.output.take()
            raise MachineFailed(
                f"the network cannot be had: {helper.output.last or 'passt ended'}",
                hint="see which ports are published, and: ip route",
            )
        await asyncio.sleep(_POLL_S)
    raise TimedOut(f"passt was not ready in {_READY_S:g} s")


def keep_for(
    sandbox: Sandbox, container_id: str, ports: Iterable[PublishedPort], way: ExitStack
) -> None:
    """Keep a container's ports until `way` is closed, or it is to have others; raises as `keep`."""
    kept = way.enter_context(ExitStack())
    sandbox.kept_ports[container_id] = kept
    way.callback(sandbox.kept_ports.pop, container_id)
    keep(ports, kept)


async def keep_others(sandbox: Sandbox, request: c.KeptPorts) -> None:
    """Keep these ports of the container instead of those before, none if one is taken."""
    kept = sandbox.kept_ports.get(request.id)
    if kept is None:
        raise WrongState(
            f"container {request.id} has no network in which ports are published",
            hint="see: enclos inspect",
        )
    kept.close()
    with ExitStack() as tried:
        keep(request.ports, tried)
        kept.push(tried.pop_all())


def keep(ports: Iterable[PublishedPort], stack: ExitStack) -> None:
    """Listen at every address and port until `stack` is closed: nobody else can meanwhile.

    Raises `Exists` for one that is taken, `InvalidRequest` for an address the host has not.
    """
    for port in ports:
        for family, address in _places(port):
            for number in range(port.host_port, port.host_port + port.count):
                _keep(stack, family, (address, number), port)


def _places(port: PublishedPort) -> Iterator[tuple[int, str]]:
    if not port.host_address or "." in port.host_address:
        yield socket.AF_INET, port.host_address or "0.0.0.0"
    if ":" in port.host_address:
        yield socket.AF_INET6, port.host_address


def _keep(stack: ExitStack, family: int, place: tuple[str, int], port: PublishedPort) -> None:
    kind = socket.SOCK_STREAM if port.protocol == "tcp" else socket.SOCK_DGRAM
    shown = f"{place[0]}:{place[1]}/{port.protocol}"
    try:
        door = stack.enter_context(socket.socket(family, kind))
        if kind == socket.SOCK_STREAM:
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind(place)
        if kind == socket.SOCK_STREAM:
            door.listen(1)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise Exists(
                f"cannot publish {shown}: the port is already in use",
                hint="see who has it: ss -tulnp; or publish another port of the host",
            ) from error
        if error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
            raise InvalidRequest(
                f"cannot publish {shown}: the host has no such address",
                hint="see which it has: ip address",
            ) from error
        raise HostUnfit(f"cannot publish {shown}: {error.strerror}", hint="see: ss -tuln") from (
            error
        )
