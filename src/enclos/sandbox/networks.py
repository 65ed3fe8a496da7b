"""The networks of a sandbox's containers: looked at, planned, and carried out, again and again.

A network is the namespace that an engine gave a container on the host, and its counterpart in
the guest. It is looked at when a container is created, when it is started, and whenever the
kernel tells of a change: engines add interfaces at all of these moments (decisions 8 and 22).
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import ExitStack
from dataclasses import field
from functools import partial
from typing import Final

from enclos import log
from enclos.errors import EnclosError, HostUnfit
from enclos.network import namespace as namespaces
from enclos.network import taps
from enclos.network.namespace import Namespace
from enclos.network.taps import Tap
from enclos.plan import network as planning
from enclos.plan.network import NOTHING, Delta, Wanted
from enclos.sandbox import doors, mirror, sharing, uplinks
from enclos.sandbox.doors import Doors
from enclos.sandbox.live import Sandbox
from enclos.sandbox.mirror import Mirrored
from enclos.sandbox.uplinks import Uplinked
from enclos.state import ledger
from enclos.structs import dataclass
from enclos.tools import passt
from enclos.wire import control as c
from enclos.wire import messages as m
from enclos.wire import netmessages as n
from enclos.wire.places import SPARE_SLOT
from enclos.wire.rtnetlink import ETHERNET, Entry, Link

_SETTLE_S: Final = 0.05
"""Changes come in bunches: an interface, its address, its routes."""
_SHARED_S: Final = 0.5
_JOINED_S: Final = 2
"""How often it is looked who listens on the host's side: beside others, and in case some join."""
_LOOKS: Final = 5
_TIMEOUT_S: Final = 60


@dataclass(frozen=True, slots=True)
class Port:
    """Where an interface is plugged in, and what gives it back."""

    slot: int
    tap: Tap | None
    stack: ExitStack


@dataclass(slots=True)
class Attached:
    """One network: what the guest has of it `now`, and by which ports.

    `shared`: others live in it, so its packets are left alone and the guest's become sockets.
    `uplinked`: it is new and has a way out of its own; on the host nothing is in it.
    """

    namespace: Namespace
    stack: ExitStack
    shared: bool
    doors: Doors
    mirrored: Mirrored
    uplinked: Uplinked | None = None
    now: Wanted = NOTHING
    ports: dict[int, Port] = field(default_factory=dict[int, Port])
    users: set[str] = field(default_factory=set[str])
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)
    stirred: bool = False
    leaving: bool = False
    closed: bool = False


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
            await sandbox.agent().call("watch", watch, m.Nothing, timeout_s=_TIMEOUT_S)


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
                        await _unplug(sandbox, attached, index)
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
    async with attached.busy:
        if attached.leaving:
            return
        for again in range(_LOOKS):
            after = _look(attached)
            delta = planning.delta(attached.now, after)
            gone = _gone(attached, delta, after)
            if delta.empty and not gone:
                return
            try:
                await _act(sandbox, attached, delta, gone, after)
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


def _gone(attached: Attached, delta: Delta, after: Wanted) -> list[int]:
    """Numbers of interfaces to unplug, also of one that the guest has never taken."""
    unasked = attached.ports.keys() - {link.index for link in after.links}
    return sorted(unasked | {link.index for link in delta.unplug})


async def _act(
    sandbox: Sandbox, attached: Attached, delta: Delta, gone: list[int], after: Wanted
) -> None:
    for index in gone:
        await _unplug(sandbox, attached, index)
    for link in delta.plug:
        if link.index not in attached.ports:
            await _plug(sandbox, attached, link, after)
    for link in delta.changed:
        if (tap := attached.ports[link.index].tap) is not None:
            taps.resize(attached.namespace, tap, link)
    message = n.Network(
        namespace=attached.namespace.name,
        interfaces=tuple(_interface(attached, link) for link in (*delta.plug, *delta.changed)),
        gone=tuple(gone),
        removed=tuple(_entry(entry) for entry in delta.removed),
        added=tuple(_entry(entry) for entry in delta.added),
        ipv6=after.ipv6,
    )
    await sandbox.agent().call("network", message, m.Nothing, timeout_s=_TIMEOUT_S)


async def _plug(sandbox: Sandbox, attached: Attached, link: Link, after: Wanted) -> None:
    ended = partial(_lost, sandbox, attached, link.index)
    with ExitStack() as stack:
        tap = None
        if attached.uplinked is not None:
            helper = await uplinks.take(sandbox, attached.uplinked)
            stack.enter_context(helper.stack)
            slot = await sharing.plug(sandbox, helper, link, ended=ended)
        elif attached.shared:
            addresses = planning.addresses_of(after)
            network = attached.namespace.descriptor
            helper = await sharing.begin(sandbox, network, passt.shared(addresses))
            stack.enter_context(helper.stack)
            slot = await sharing.plug(sandbox, helper, link, ended=ended)
        else:
            tap, slot = await _join_tap(sandbox, attached.namespace, link, stack)
        attached.ports[link.index] = Port(slot, tap, stack.pop_all())


async def _join_tap(
    sandbox: Sandbox, namespace: Namespace, link: Link, stack: ExitStack
) -> tuple[Tap, int]:
    """A tap for `link` and where it is plugged in; the machine's own from its start is first."""
    held = ledger.of_sandbox(sandbox.plan.directory)
    spare = sandbox.launched.spare if sandbox.launched is not None else None
    ready = spare.take_tap() if spare is not None else None
    joined = taps.joined(namespace, link, held, queues=sandbox.plan.board.vcpus, ready=ready)
    if ready is None:
        tap = stack.enter_context(joined)
        return tap, await sandbox.the_machine().plug_nic(link.mac, tap.descriptors)
    try:
        return stack.enter_context(joined), SPARE_SLOT
    except BaseException:
        ready.close()
        await sandbox.the_machine().unplug_nic(SPARE_SLOT)
        raise


def _lost(sandbox: Sandbox, attached: Attached, index: int) -> None:
    _in_background(sandbox, _replug(sandbox, attached, index))


async def _replug(sandbox: Sandbox, attached: Attached, index: int) -> None:
    async with attached.busy:
        if attached.leaving:
            return
        await _unplug(sandbox, attached, index)
        without = tuple(link for link in attached.now.links if link.index != index)
        kept = tuple(entry for entry in attached.now.entries if index not in entry.indexes)
        attached.now = Wanted(without, kept, attached.now.ipv6)
        gone = n.Network(attached.namespace.name, gone=(index,), ipv6=attached.now.ipv6)
        try:
            await sandbox.agent().call("network", gone, m.Nothing, timeout_s=_TIMEOUT_S)
        except EnclosError as error:
            log.warning("the guest keeps an interface that has gone", index=index, error=error)
    await _follow(sandbox, attached)


def _in_background(sandbox: Sandbox, work: Coroutine[None, None, None]) -> None:
    task = asyncio.get_running_loop().create_task(work)
    sandbox.tasks.add(task)
    task.add_done_callback(sandbox.tasks.discard)


async def _unplug(sandbox: Sandbox, attached: Attached, index: int) -> None:
    port = attached.ports.get(index)
    if port is None:
        return
    try:
        await sandbox.the_machine().unplug_nic(port.slot)
    except EnclosError as error:  # its port stays taken, the host's part goes all the same
        log.warning("the guest keeps an interface", slot=port.slot, error=error)
    del attached.ports[index]
    port.stack.close()


def _interface(attached: Attached, link: Link) -> n.Interface:
    return n.Interface(
        index=link.index,
        slot=attached.ports[link.index].slot,
        name=link.name,
        mac=link.mac if link.type == ETHERNET else "",
        mtu=link.mtu,
        up=link.up,
        arp=link.arp,
        ipv6=link.ipv6,
        accept_ra=link.accept_ra,
    )


def _entry(entry: Entry) -> n.NetworkEntry:
    return n.NetworkEntry(entry.kind, entry.body.hex())


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
