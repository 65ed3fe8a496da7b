"""The networks of a sandbox's containers: looked at, planned, and carried out, again and again.

A network is the namespace that an engine gave a container on the host, and its counterpart in
the guest. It is looked at when a container is created, when it is started, and whenever the
kernel tells of a change: engines add interfaces at all of these moments (decisions 8 and 22).
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import ExitStack
from typing import Final

from enclos import log
from enclos.errors import EnclosError, HostUnfit
from enclos.network import namespace as namespaces
from enclos.network.namespace import Namespace
from enclos.plan import network as planning
from enclos.plan.network import Wanted
from enclos.sandbox import doors, mirror, plugging
from enclos.sandbox.doors import Doors
from enclos.sandbox.live import Sandbox
from enclos.sandbox.mirror import Mirrored
from enclos.sandbox.plugging import TIMEOUT_S, Attached
from enclos.sandbox.uplinks import Uplinked
from enclos.wire import control as c
from enclos.wire import messages as m
from enclos.wire import netmessages as n

_SETTLE_S: Final = 0.05
"""Changes come in bunches: an interface, its address, its routes."""
_SHARED_S: Final = 0.5
_JOINED_S: Final = 2
"""How often it is looked who listens on the host's side: beside others, and in case some join."""
_LOOKS: Final = 5


async def join(
    sandbox: Sandbox, request: c.Create, descriptor: int, uplinked: Uplinked | None, way: ExitStack
) -> str:
    """Have the network behind `descriptor`, which is taken over; its name in the guest.

    `way` gives back what `uplinked` holds; it is taken over with it.

    One that crun is to make gets what belongs in it later. Raises `InvalidRequest` for what is no
    network namespace or has too many interfaces, `HostUnfit` where the host lacks what it takes.
    """
    stack = ExitStack()
    namespace = stack.enter_context(namespaces.opened(descriptor, request.network))
    while (attached := _known(sandbox, namespace)) is not None and attached.leaving:
        async with attached.busy:
            continue  # the last user is just giving it up; then it is looked for again
    if attached is None:
        shared = request.shared_network
        attached = Attached(
            namespace,
            stack,
            shared,
            Doors(namespace, everywhere=shared),
            Mirrored(namespace),
            uplinked,
        )
        stack.push(way.pop_all())
        sandbox.networks[namespace.name] = attached
        _watch(sandbox, attached)
    else:
        stack.close()
    attached.users.add(request.id)
    if not request.own_network:
        await refresh(sandbox, attached)
    return attached.namespace.name


async def open_doors(sandbox: Sandbox, container_id: str) -> None:
    """From now on listeners of the container are reached from outside of the guest.

    A network of its own with nothing but a loopback has no outside, and one with a way out by
    itself has published ports for that.
    """
    for attached in list(sandbox.networks.values()):
        if attached.uplinked is not None:
            continue
        if container_id in attached.users and (attached.ports or attached.shared):
            watch = n.Watch(attached.namespace.name, doors.PERIOD_MS)
            await sandbox.agent().call("watch", watch, m.Nothing, timeout_s=TIMEOUT_S)


def listeners(sandbox: Sandbox, told: n.Listeners) -> None:
    """The guest says who listens in one of its networks; an unknown one is nobody's."""
    attached = sandbox.networks.get(told.namespace)
    if attached is not None:
        doors.follow(attached.doors, sandbox.agent(), told.found)


def knock(sandbox: Sandbox, told: n.Knock) -> None:
    """The guest says that somebody wants one of the host's listeners that are mirrored there."""
    attached = sandbox.networks.get(told.namespace)
    if attached is not None:
        mirror.knock(attached.mirrored, sandbox.agent(), told)


def question(sandbox: Sandbox, told: n.Question) -> None:
    """The guest says that somebody asks for a name."""
    attached = sandbox.networks.get(told.namespace)
    if attached is not None:
        mirror.question(attached.mirrored, sandbox.agent(), told)


async def leave(sandbox: Sandbox, container_id: str) -> None:
    """The container needs its network no longer; without another user it is taken apart."""
    for name, attached in list(sandbox.networks.items()):
        attached.users.discard(container_id)
        if not attached.users and not attached.leaving:
            attached.leaving = True
            async with attached.busy:
                try:
                    for index in list(attached.ports):
                        await plugging.unplug(sandbox, attached, index)
                finally:
                    close(attached)
                    sandbox.networks.pop(name, None)


async def look_again(sandbox: Sandbox, container_id: str) -> None:
    """Bring the container's networks up to date."""
    for attached in list(sandbox.networks.values()):
        if container_id in attached.users:
            await refresh(sandbox, attached)
            await _mirror(sandbox, attached)


async def _mirror(sandbox: Sandbox, attached: Attached) -> None:
    """Where nothing leads to but the container's own loopback nobody joins later."""
    if attached.uplinked is not None:
        return
    period_s = _SHARED_S if attached.shared else _JOINED_S if attached.ports else 0
    await mirror.look(attached.mirrored, attached.doors, sandbox.agent(), period_s=period_s)


async def refresh(sandbox: Sandbox, attached: Attached) -> None:
    """Give the guest what has changed since the last look."""

    def lost(index: int) -> None:
        _in_background(sandbox, _replug(sandbox, attached, index))

    async with attached.busy:
        if attached.leaving:
            return
        for again in range(_LOOKS):
            after = _look(attached)
            delta = planning.delta(attached.now, after)
            gone = plugging.unwanted(attached, delta, after)
            if delta.empty and not gone:
                return
            try:
                await plugging.act(sandbox, attached, delta, gone, after=after, lost=lost)
            except OSError as error:  # what was there a moment ago has changed or gone
                log.info("the network changes", network=attached.namespace.name, error=error)
                if again == _LOOKS - 1:
                    raise HostUnfit(
                        f"the container's network cannot be joined: {error}",
                        hint="see what changes its network namespace: ip monitor",
                    ) from error
                await asyncio.sleep(_SETTLE_S)
                continue
            attached.now = after


def _look(attached: Attached) -> Wanted:
    if attached.uplinked is not None:
        return attached.uplinked.wanted
    look = planning.shared if attached.shared else planning.wanted
    return look(namespaces.look(attached.namespace))


def close(attached: Attached) -> None:
    """Let go of everything on the host."""
    if attached.closed:
        return
    attached.leaving = attached.closed = True
    _unwatch(attached)
    doors.close(attached.doors)
    mirror.close(attached.mirrored)
    for port in attached.ports.values():
        port.stack.close()
    attached.ports.clear()
    attached.stack.close()


def close_all(sandbox: Sandbox) -> None:
    """The same for every network: the machine is gone."""
    with ExitStack() as stack:
        for attached in sandbox.networks.values():
            stack.callback(close, attached)
    sandbox.networks.clear()


def _known(sandbox: Sandbox, namespace: Namespace) -> Attached | None:
    for attached in sandbox.networks.values():
        if attached.namespace.identity == namespace.identity:
            return attached
    return None


async def _replug(sandbox: Sandbox, attached: Attached, index: int) -> None:
    async with attached.busy:
        if attached.leaving:
            return
        await plugging.unplug(sandbox, attached, index)
        without = tuple(link for link in attached.now.links if link.index != index)
        kept = tuple(entry for entry in attached.now.entries if index not in entry.indexes)
        attached.now = Wanted(without, kept, attached.now.ipv6)
        gone = n.Network(attached.namespace.name, gone=(index,), ipv6=attached.now.ipv6)
        try:
            await sandbox.agent().call("network", gone, m.Nothing, timeout_s=TIMEOUT_S)
        except EnclosError as error:
            log.warning("the guest keeps an interface that has gone", index=index, error=error)
    await _follow(sandbox, attached)


def _in_background(sandbox: Sandbox, work: Coroutine[None, None, None]) -> None:
    task = asyncio.get_running_loop().create_task(work)
    sandbox.tasks.add(task)
    task.add_done_callback(sandbox.tasks.discard)


def _watch(sandbox: Sandbox, attached: Attached) -> None:
    """Look again a moment after the kernel has told of a change."""
    loop = asyncio.get_running_loop()

    def told() -> None:
        if attached.namespace.notices.drain() and not attached.stirred:
            attached.stirred = True
            loop.call_later(_SETTLE_S, settle)

    def settle() -> None:
        attached.stirred = False
        if attached.leaving or sandbox.ending:
            return
        _in_background(sandbox, _follow(sandbox, attached))

    loop.add_reader(attached.namespace.notices.fileno(), told)


def _unwatch(attached: Attached) -> None:
    asyncio.get_running_loop().remove_reader(attached.namespace.notices.fileno())


async def _follow(sandbox: Sandbox, attached: Attached) -> None:
    try:
        await refresh(sandbox, attached)
        await _mirror(sandbox, attached)
    except EnclosError as error:
        log.warning("the guest misses a change", network=attached.namespace.name, error=error)
