"""Interfaces of a container's network: plugged into the machine and told to the guest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import field
from functools import partial
from typing import Final

from enclos import log
from enclos.errors import EnclosError
from enclos.network import taps
from enclos.network.namespace import Namespace
from enclos.network.taps import Tap
from enclos.plan import network as planning
from enclos.plan.network import NOTHING, Delta, Wanted
from enclos.sandbox import sharing, uplinks
from enclos.sandbox.doors import Doors
from enclos.sandbox.live import Sandbox
from enclos.sandbox.mirror import Mirrored
from enclos.sandbox.uplinks import Uplinked
from enclos.state import ledger
from enclos.structs import dataclass
from enclos.tools import passt
from enclos.wire import messages as m
from enclos.wire import netmessages as n
from enclos.wire.places import SPARE_SLOT
from enclos.wire.rtnetlink import ETHERNET, Entry, Link

TIMEOUT_S: Final = 60
"""For the guest to do what it is told."""


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


def unwanted(attached: Attached, delta: Delta, after: Wanted) -> list[int]:
    """Numbers of interfaces to unplug, also of one that the guest has never taken."""
    unasked = attached.ports.keys() - {link.index for link in after.links}
    return sorted(unasked | {link.index for link in delta.unplug})


async def act(
    sandbox: Sandbox,
    attached: Attached,
    delta: Delta,
    gone: list[int],
    *,
    after: Wanted,
    lost: Callable[[int], None],
) -> None:
    """Unplug and plug on the host's side, then tell the guest; `lost` is called with the number of
    an interface whose helper has ended. Raises `OSError` where the host's side has changed.
    """
    for index in gone:
        await unplug(sandbox, attached, index)
    for link in delta.plug:
        if link.index not in attached.ports:
            await _plug(sandbox, attached, link, after, lost)
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
    await sandbox.agent().call("network", message, m.Nothing, timeout_s=TIMEOUT_S)


async def _plug(
    sandbox: Sandbox, attached: Attached, link: Link, after: Wanted, lost: Callable[[int], None]
) -> None:
    ended = partial(lost, link.index)
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


async def unplug(sandbox: Sandbox, attached: Attached, index: int) -> None:
    """Take an interface away, if it is there."""
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
