"""One interface of a container's namespace joined to a tap, whose other end a machine holds.

What arrives at the interface leaves by the tap, and the other way round. The namespace's own
stack sees none of it any more: the guest answers in its place, with the same address.
The tap goes with its descriptors; the filters on the interface are in the ledger.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from enclos.linux import multicast, traffic, tun
from enclos.linux.netlink import Netlink
from enclos.linux.traffic import Redirect
from enclos.network import namespace as namespaces
from enclos.network.namespace import Namespace
from enclos.plan.network import TAP_PREFIX
from enclos.state.ledger import Fields, Ledger
from enclos.structs import dataclass
from enclos.wire import rtnetlink
from enclos.wire.rtnetlink import Link

LEDGER_KIND: Final = "redirect"
_UNFILTERED: Final = frozenset(("veth", "tun"))
"""Kinds of interfaces that hand on every group: of others the guest's would have to be told."""


@dataclass(frozen=True, slots=True)
class Tap:
    """A tap in the container's namespace; one descriptor per queue."""

    name: str
    index: int
    descriptors: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Loose:
    """A tap in a namespace of nobody's, until it is known where it belongs."""

    name: str
    netlink: Netlink
    descriptors: tuple[int, ...]
    stack: ExitStack

    def close(self) -> None:
        """Let go of it; twice is fine."""
        self.stack.close()


def loose(*, queues: int) -> Loose:
    """A tap for a machine that has it before its network is known; raises `HostUnfit`."""
    with ExitStack() as stack:
        descriptor = namespaces.new()
        stack.callback(os.close, descriptor)
        with namespaces.inside(descriptor):
            netlink = stack.enter_context(Netlink())
            name, descriptors = tun.create(f"{TAP_PREFIX}%d", queues=queues)
        for one in descriptors:
            stack.callback(os.close, one)
        return Loose(name, netlink, tuple(descriptors), stack.pop_all())


@contextmanager
def joined(
    namespace: Namespace, link: Link, held: Ledger, *, queues: int, ready: Loose | None = None
) -> Iterator[Tap]:
    """A tap for `link`; the filters go when the context ends, the tap with its descriptors.

    A `ready` one is taken over.

    Raises `HostUnfit` where the host lacks what it takes, `OSError` if the link has gone.
    """
    netlink = namespace.netlink
    prepared = traffic.prepare(netlink, link.index)
    with (
        _made(namespace, link, ready, queues=queues) as tap,
        _all_groups(namespace, link),
        held.holding(
            LEDGER_KIND,
            path=namespace.path,
            device=namespace.identity[0],
            inode=namespace.identity[1],
            source=prepared.source,
            priority=prepared.priority,
            queue=int(prepared.queue),
        ),
    ):
        try:
            traffic.redirect(netlink, traffic.prepare(netlink, tap.index), link.index)
            traffic.redirect(netlink, prepared, tap.index)
            yield tap
        finally:
            traffic.undo(netlink, prepared)


def resize(namespace: Namespace, tap: Tap, link: Link) -> None:
    """Make the tap as large as the link has become."""
    namespace.netlink.request(rtnetlink.NEWLINK, rtnetlink.set_link(tap.index, mtu=link.mtu))


def release(fields: Fields) -> None:
    """Remove the filters that a ledger tells of; a namespace that has gone took them along."""
    identity = (int(fields["device"]), int(fields["inode"]))
    descriptor = namespaces.find(str(fields["path"]), identity)
    if descriptor is None:
        return
    made = Redirect(int(fields["source"]), int(fields["priority"]), bool(fields["queue"]))
    with namespaces.opened(descriptor, str(fields["path"])) as namespace:
        traffic.undo(namespace.netlink, made)


@contextmanager
def _all_groups(namespace: Namespace, link: Link) -> Iterator[None]:
    """Have a macvlan, or a card, hand on what is sent to groups that the guest may have joined."""
    if link.kind in _UNFILTERED:
        yield
        return
    with namespaces.inside(namespace.descriptor, namespace.path):
        asking = multicast.hear_all(link.index)
    with asking:
        yield


@contextmanager
def _made(namespace: Namespace, link: Link, ready: Loose | None, *, queues: int) -> Iterator[Tap]:
    """The tap, up, of the link's size, without addresses or neighbours of its own."""
    if ready is not None:
        with ready.stack:
            _move(ready, namespace)
            yield _set_up(namespace, link, ready.name, ready.descriptors)
        return
    with namespaces.inside(namespace.descriptor, namespace.path):
        name, descriptors = tun.create(f"{TAP_PREFIX}%d", queues=queues)
    try:
        yield _set_up(namespace, link, name, tuple(descriptors))
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _move(ready: Loose, namespace: Namespace) -> None:
    """Raises `OSError` if there is one of that name already."""
    index = _index(ready.netlink, ready.name)
    moved = rtnetlink.set_link(index, namespace=namespace.descriptor)
    ready.netlink.request(rtnetlink.NEWLINK, moved)


def _set_up(namespace: Namespace, link: Link, name: str, descriptors: tuple[int, ...]) -> Tap:
    index = _index(namespace.netlink, name)
    quiet = rtnetlink.set_link(index, mtu=link.mtu, arp=False, quiet=link.ipv6)
    namespace.netlink.request(rtnetlink.NEWLINK, quiet)
    namespace.netlink.request(rtnetlink.NEWLINK, rtnetlink.set_link(index, up=True))
    return Tap(name, index, descriptors)


def _index(netlink: Netlink, name: str) -> int:
    for link in namespaces.links(netlink):
        if link.name == name:
            return link.index
    raise OSError(errno.ENODEV, f"no interface {name}")
