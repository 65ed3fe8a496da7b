"""Containers of ours in networks with names: a namespace for each, connected by netavark.

What netavark makes (bridge, interfaces, rules, names) is taken back by it as well, from the record
in the sandbox's ledger. It wants a namespace with the container's interface for that; the real one
may be gone, so it is given one of the moment, after the interface has been removed by us.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from enclos import log
from enclos.errors import EnclosError, MachineFailed
from enclos.linux import namespaces, tun
from enclos.linux.netlink import Netlink
from enclos.network import namespace as looking
from enclos.network import tenants
from enclos.plan import bridging
from enclos.plan.bridging import Endpoint, Membership
from enclos.state import networks as state
from enclos.state.ledger import Entry, Fields, Ledger
from enclos.state.networks import Networks
from enclos.state.store import StateRoot, make_directory
from enclos.structs import dataclass
from enclos.tools import netavark
from enclos.tools.netavark import Programs
from enclos.wire import rtnetlink
from enclos.wire.rtnetlink import Link


@dataclass(frozen=True, slots=True)
class Taken:
    """Addresses that a container has, and how to connect it."""

    networks: Networks
    endpoint: Endpoint
    bridge: str
    options: str
    programs: Programs
    held: Ledger
    entry: Entry

    @property
    def fields(self) -> Fields:
        """What `release` needs to know."""
        return self.entry.fields


def take(
    networks: Networks, held: Ledger, container: str, asked: Membership, *, kind: str
) -> Taken:
    """Give the container addresses. `release`, or what `held` records as `kind`, takes them back.

    Raises `NotFound` for an unknown network, `Exists` for an address that is taken,
    `HostUnfit` for a host that lacks the programs.
    """
    programs = netavark.find()
    with state.locked(networks):
        network = state.load(networks, asked.network)
        bridging.check_ports(asked.ports, state.all_members(networks))
        endpoint = bridging.endpoint(network, container, asked, state.all_members(networks))
        options = bridging.options(network, asked, endpoint)
        device, inode = namespaces.identity("network")
        fields: dict[str, str | int] = {
            "data_root": os.fspath(networks.data_root),
            "state_root": os.fspath(networks.root.path),
            "network": network.id,
            "container": container,
            "bridge": network.bridge,
            "options": options,
            "device": device,
            "inode": inode,
        }
        entry = held.record(kind, **fields)
        state.join(networks, endpoint)
    return Taken(networks, endpoint, network.bridge, options, programs, held, entry)


def give_back(taken: Taken) -> None:
    """Undo it, connected or not, and forget it; raises `MachineFailed`."""
    release(taken.fields)
    taken.held.clear(taken.entry)


def connected(places: Sequence[Taken]) -> int:
    """A descriptor of a new namespace that is connected to each; raises as `connect`."""
    with ExitStack() as undo:
        descriptor = looking.new()
        undo.callback(os.close, descriptor)
        for taken in places:
            connect(taken, descriptor)
        undo.pop_all()
    return descriptor


def connect(taken: Taken, descriptor: int) -> None:
    """Connect the namespace behind `descriptor`; raises `MachineFailed`, `HostUnfit`."""
    path = f"/proc/{os.getpid()}/fd/{descriptor}"
    mine = taken.endpoint
    with state.locked(taken.networks), Netlink() as netlink:
        if state.member(taken.networks, mine.network, mine.container) is None:
            raise MachineFailed(
                f"container {mine.name} has left its network: it has ended meanwhile",
                hint="start it again",
            )
        make_directory(taken.networks.aardvark)
        before = {port.index for port in _ports(netlink, taken.bridge)}
        netavark.setup(taken.programs, taken.networks.aardvark, path, taken.options)
        made = [one for one in _ports(netlink, taken.bridge) if one.index not in before]
        state.connected(taken.networks, mine, made[0].name if made else "")


def release(fields: Fields) -> None:
    """Take apart what a ledger tells of; gone already is done. Raises `MachineFailed`."""
    networks = Networks(Path(str(fields["data_root"])), StateRoot(Path(str(fields["state_root"]))))
    network_id, container = str(fields["network"]), str(fields["container"])
    with state.locked(networks):
        endpoint = state.member(networks, network_id, container)
        if endpoint is None:
            return
        with _where(fields) as there:
            if there:
                _disconnect(networks, endpoint, fields)
        state.leave(networks, network_id, container)


def _disconnect(networks: Networks, endpoint: Endpoint, fields: Fields) -> None:
    others = state.members(networks, endpoint.network)
    kept = {one.port for one in others if one.container != endpoint.container}
    bridge = str(fields["bridge"])
    with Netlink() as netlink:
        for port in _ports(netlink, bridge):
            if port.name not in kept:
                _remove(netlink, port)
        try:
            with _stage(endpoint.interface) as path:
                netavark.teardown(netavark.find(), networks.aardvark, path, str(fields["options"]))
        except EnclosError as error:
            if endpoint.port:
                raise
            log.info("it was never connected", container=endpoint.container, error=error)
        if kept <= {""}:
            for link in looking.links(netlink):
                if link.name == bridge:
                    _remove(netlink, link)


@contextmanager
def _where(fields: Fields) -> Iterator[bool]:
    """Be in the namespace where it was connected; False if nobody lives in that any more."""
    identity = (int(fields["device"]), int(fields["inode"]))
    if identity == namespaces.identity("network"):
        yield True
        return
    for pid in tenants.others(identity, ()):
        descriptor = looking.find(os.fspath(namespaces.path_of("network", pid)), identity)
        if descriptor is not None:
            try:
                with looking.inside(descriptor):
                    yield True
            finally:
                os.close(descriptor)
            return
    yield False


@contextmanager
def _stage(interface: str) -> Iterator[str]:
    """The path of a namespace that has the container's interface, as far as netavark can see."""
    with ExitStack() as stack:
        descriptor = looking.new()
        stack.callback(os.close, descriptor)
        with looking.inside(descriptor):
            _, queues = tun.create(interface)
        for queue in queues:
            stack.callback(os.close, queue)
        yield f"/proc/{os.getpid()}/fd/{descriptor}"


def _ports(netlink: Netlink, bridge: str) -> list[Link]:
    links = looking.links(netlink)
    indexes = {link.index for link in links if link.name == bridge}
    return [link for link in links if link.master in indexes]


def _remove(netlink: Netlink, link: Link) -> None:
    try:
        netlink.request(rtnetlink.DELLINK, rtnetlink.set_link(link.index))
    except OSError as error:
        log.info("the link has gone", link=link.name, error=error)
