"""The networks of a sandbox's containers: looked at, planned, and carried out, again and again.

A network is the namespace that an engine gave a container on the host, and its counterpart in
the guest. It is looked at when a container is created, when it is started, and whenever the
kernel tells of a change: engines add interfaces at all of these moments (decisions 8 and 22).
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final

from enclos import log
from enclos.errors import EnclosError, HostUnfit, InvalidRequest
from enclos.network import namespace as namespaces
from enclos.network import taps
from enclos.network.namespace import Namespace
from enclos.network.taps import Tap
from enclos.plan import network as planning
from enclos.plan.network import NOTHING, Delta, Wanted
from enclos.sandbox.live import Sandbox
from enclos.state import ledger
from enclos.wire import messages as m
from enclos.wire.rtnetlink import Entry, Link

_SETTLE_S: Final = 0.05
"""Changes come in bunches: an interface, its address, its routes."""
_LOOKS: Final = 5
_TIMEOUT_S: Final = 60


@dataclass(frozen=True, slots=True)
class Port:
    """Where an interface is plugged in, and what gives it back."""

    slot: int
    tap: Tap
    stack: ExitStack


@dataclass(slots=True)
class Attached:
    """One network: what the guest has of it `now`, and by which ports."""

    namespace: Namespace
    stack: ExitStack
    now: Wanted = NOTHING
    ports: dict[int, Port] = field(default_factory=dict[int, Port])
    users: set[str] = field(default_factory=set[str])
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)
    stirred: bool = False


async def join(
    sandbox: Sandbox, container_id: str, descriptor: int, *, path: str, at_once: bool
) -> str:
    """Have the network behind `descriptor`, which is taken over; its name in the guest.

    Unless `at_once` the guest's is yet to be made, and gets what belongs in it later.

    Raises `InvalidRequest` for what is no network namespace or has too many interfaces, and
    `HostUnfit` where the host lacks what it takes.
    """
    stack = ExitStack()
    namespace = stack.enter_context(namespaces.opened(descriptor, path))
    attached = _known(sandbox, namespace)
    if attached is None:
        attached = Attached(namespace, stack)
        sandbox.networks[namespace.name] = attached
        _watch(sandbox, attached)
    else:
        stack.close()
    attached.users.add(container_id)
    if at_once:
        await refresh(sandbox, attached)
    return attached.namespace.name


async def leave(sandbox: Sandbox, container_id: str) -> None:
    """The container needs its network no longer; without another user it is taken apart."""
    for name, attached in list(sandbox.networks.items()):
        attached.users.discard(container_id)
        if not attached.users:
            del sandbox.networks[name]
            async with attached.busy:
                for index in list(attached.ports):
                    await _unplug(sandbox, attached, index)
            close(attached)


async def look_again(sandbox: Sandbox, container_id: str) -> None:
    """Bring the container's networks up to date."""
    for attached in list(sandbox.networks.values()):
        if container_id in attached.users:
            await refresh(sandbox, attached)


async def refresh(sandbox: Sandbox, attached: Attached) -> None:
    """Give the guest what has changed since the last look."""
    async with attached.busy:
        for again in range(_LOOKS):
            after = planning.wanted(namespaces.look(attached.namespace))
            delta = planning.delta(attached.now, after)
            if delta.empty:
                return
            try:
                await _act(sandbox, attached, delta)
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


def close(attached: Attached) -> None:
    """Let go of everything on the host."""
    _unwatch(attached)
    for port in attached.ports.values():
        port.stack.close()
    attached.ports.clear()
    attached.stack.close()


def close_all(sandbox: Sandbox) -> None:
    """The same for every network: the machine is gone."""
    for attached in sandbox.networks.values():
        close(attached)
    sandbox.networks.clear()


def _known(sandbox: Sandbox, namespace: Namespace) -> Attached | None:
    for attached in sandbox.networks.values():
        if attached.namespace.identity == namespace.identity:
            return attached
    return None


async def _act(sandbox: Sandbox, attached: Attached, delta: Delta) -> None:
    for link in delta.unplug:
        await _unplug(sandbox, attached, link.index)
    for link in delta.plug:
        if link.index not in attached.ports:
            await _plug(sandbox, attached, link)
    for link in delta.changed:
        taps.resize(attached.namespace, attached.ports[link.index].tap, link)
    message = m.Network(
        namespace=attached.namespace.name,
        interfaces=tuple(_interface(attached, link) for link in (*delta.plug, *delta.changed)),
        gone=tuple(link.index for link in delta.unplug),
        removed=tuple(_entry(entry) for entry in delta.removed),
        added=tuple(_entry(entry) for entry in delta.added),
    )
    await sandbox.agent().call("network", message, m.Nothing, timeout_s=_TIMEOUT_S)


async def _plug(sandbox: Sandbox, attached: Attached, link: Link) -> None:
    slot = _free_slot(sandbox)
    held = ledger.of_sandbox(sandbox.plan.directory)
    with ExitStack() as stack:
        queues = sandbox.plan.board.vcpus
        tap = stack.enter_context(taps.joined(attached.namespace, link, held, queues=queues))
        await sandbox.the_machine().plug_nic(slot, link.mac, tap.descriptors)
        attached.ports[link.index] = Port(slot, tap, stack.pop_all())


async def _unplug(sandbox: Sandbox, attached: Attached, index: int) -> None:
    port = attached.ports.get(index)
    if port is None:
        return
    try:
        await sandbox.the_machine().unplug_nic(port.slot)
    except EnclosError as error:  # its port stays taken, the host's part goes all the same
        log.warning("the guest keeps an interface", slot=port.slot, error=error)
        sandbox.lost_slots.add(port.slot)
    del attached.ports[index]
    port.stack.close()


def _free_slot(sandbox: Sandbox) -> int:
    used = {port.slot for one in sandbox.networks.values() for port in one.ports.values()}
    for slot in range(planning.MOST_INTERFACES):
        if slot not in used | sandbox.lost_slots:
            return slot
    raise InvalidRequest(
        f"all {planning.MOST_INTERFACES} network ports of the machine are in use",
        hint="connect its containers to fewer networks",
    )


def _interface(attached: Attached, link: Link) -> m.Interface:
    return m.Interface(
        index=link.index,
        slot=attached.ports[link.index].slot,
        name=link.name,
        mac=link.mac,
        mtu=link.mtu,
        up=link.up,
        ipv6=link.ipv6,
        accept_ra=link.accept_ra,
    )


def _entry(entry: Entry) -> m.NetworkEntry:
    return m.NetworkEntry(entry.kind, entry.body.hex())


def _watch(sandbox: Sandbox, attached: Attached) -> None:
    """Look again a moment after the kernel has told of a change."""
    loop = asyncio.get_running_loop()

    def told() -> None:
        if attached.namespace.notices.drain() and not attached.stirred:
            attached.stirred = True
            loop.call_later(_SETTLE_S, settle)

    def settle() -> None:
        attached.stirred = False
        if sandbox.networks.get(attached.namespace.name) is not attached or sandbox.ending:
            return
        task = loop.create_task(_follow(sandbox, attached))
        sandbox.tasks.add(task)
        task.add_done_callback(sandbox.tasks.discard)

    loop.add_reader(attached.namespace.notices.fileno(), told)


def _unwatch(attached: Attached) -> None:
    asyncio.get_running_loop().remove_reader(attached.namespace.notices.fileno())


async def _follow(sandbox: Sandbox, attached: Attached) -> None:
    try:
        await refresh(sandbox, attached)
    except EnclosError as error:
        log.warning("the guest misses a change", network=attached.namespace.name, error=error)
