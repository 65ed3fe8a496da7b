"""What a guest's network is to be, given what was found in the container's namespace. PURE.

`wanted` chooses from a look at the namespace what the guest is to have; `delta` says what has
to be done since the last look. Create, start and every later change go the same way: the first
delta is the one from `NOTHING`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import field, replace
from typing import Final

from enclos.errors import InvalidRequest
from enclos.structs import dataclass
from enclos.wire import rtnetlink
from enclos.wire.rtnetlink import Entry, Link

TAP_PREFIX: Final = "enclos"
"""How the names of our own interfaces in a container's namespace begin."""
MOST_INTERFACES: Final = 8
"""A machine has that many ports for them (`hypervisor/qemu/argv.py`)."""
MOST_MTU: Final = 65_521
"""A tap takes frames of 65,535 bytes, the Ethernet header with them."""
PASST_MTU: Final = 65_520
"""The largest that passt takes: no packet of the guest leaves it, what is in them does."""
_LOOPBACKS: Final = (bytes((127, 0, 0, 1)), bytes(15) + b"\x01")
_DAD_FAILED: Final = 0x08


@dataclass(frozen=True, slots=True)
class Facts:
    """What is in a network namespace."""

    links: tuple[Link, ...]
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the guest is to have: interfaces, and what belongs to them in the order of making.

    `ipv6` says whether its loopback speaks it.
    """

    links: tuple[Link, ...] = ()
    entries: tuple[Entry, ...] = ()
    ipv6: bool = True


NOTHING: Final = Wanted()


@dataclass(frozen=True, slots=True)
class Delta:
    """What has to be done. `changed` links are the same interface with other properties.

    `switched`: the loopback speaks IPv6, or no longer.
    """

    plug: tuple[Link, ...] = ()
    unplug: tuple[Link, ...] = ()
    changed: tuple[Link, ...] = ()
    removed: tuple[Entry, ...] = ()
    added: tuple[Entry, ...] = field(default=())
    switched: bool = False

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return self == Delta()


def wanted(facts: Facts) -> Wanted:
    """What of `facts` the guest gets; raises `InvalidRequest` for more than a machine has room for.

    Everything that carries Ethernet, our own taps and the ports of a bridge or bond apart.
    """
    links = endpoints(facts.links)
    if len(links) > MOST_INTERFACES:
        raise InvalidRequest(
            f"the container's network namespace has {len(links)} interfaces, a machine has room "
            f"for {MOST_INTERFACES}",
            hint="connect the container to fewer networks",
        )
    loopback = {link.index for link in facts.links if link.loopback}
    by_index = {link.index: link for link in links}
    chosen = [e for e in facts.entries if _is_wanted(e, by_index, loopback)]
    sized = tuple(replace(link, mtu=min(link.mtu, MOST_MTU)) for link in links)
    return Wanted(sized, tuple(sorted(chosen, key=_order)), _loopback_ipv6(facts))


def endpoints(links: Iterable[Link]) -> tuple[Link, ...]:
    """Those of a namespace's interfaces that a guest gets."""
    return tuple(link for link in links if _is_endpoint(link))


def shared(facts: Facts) -> Wanted:
    """What the guest gets of a namespace that others live in: the interface that leads out.

    Its packets become sockets there, so it is that namespace's own rules that decide where they
    go: neither its rules nor its neighbours, nor routes by other interfaces, are the guest's.
    """
    main = _main_link(facts)
    loopback = {link.index for link in facts.links if link.loopback}
    by_index = {main.index: replace(main, mtu=PASST_MTU)} if main is not None else {}
    chosen = [
        entry
        for entry in facts.entries
        if entry.kind in {"address", "route"} and _is_wanted(entry, by_index, loopback)
    ]
    return Wanted(
        tuple(by_index.values()), tuple(sorted(chosen, key=_order)), _loopback_ipv6(facts)
    )


def _loopback_ipv6(facts: Facts) -> bool:
    return all(link.ipv6 for link in facts.links if link.loopback)


def ranges(facts: Facts) -> Iterator[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """The ranges that interfaces have addresses in."""
    for entry in facts.entries:
        if entry.kind == "address":
            _, length, *_ = rtnetlink.KINDS["address"].fixed.unpack_from(entry.body)
            yield ipaddress.ip_network((rtnetlink.address_bytes(entry), length), strict=False)


def _main_link(facts: Facts) -> Link | None:
    """The interface of the first default route; without one the first that has an address."""
    links = {link.index: link for link in facts.links if link.up and not link.loopback}
    routes = [entry for entry in facts.entries if entry.kind == "route"]
    defaults = [e for e in routes if rtnetlink.route_facts(e.body).default]
    addresses = [entry for entry in facts.entries if entry.kind == "address"]
    for entry in (*sorted(defaults, key=_metric), *addresses):
        for index in entry.indexes:
            if index in links:
                return links[index]
    return None


def _metric(entry: Entry) -> tuple[int, int]:
    facts = rtnetlink.route_facts(entry.body)
    return entry.family, facts.metric


def addresses_of(wanted: Wanted) -> tuple[str, ...]:
    """The first address of each family, as text, those of the link only apart."""
    found: dict[int, str] = {}
    for entry in wanted.entries:
        if entry.kind == "address":
            address = ipaddress.ip_address(rtnetlink.address_bytes(entry))
            if not (address.is_loopback or address.is_link_local):
                found.setdefault(entry.family, str(address))
    return tuple(found.values())


def delta(before: Wanted, after: Wanted) -> Delta:
    """What makes `after` out of `before`."""
    old = {link.index: link for link in before.links}
    new = {link.index: link for link in after.links}
    replaced = {index for index in old.keys() & new.keys() if old[index].kind != new[index].kind}
    gone = (old.keys() - new.keys()) | replaced
    had, has = set(before.entries), set(after.entries)
    return Delta(
        plug=tuple(link for link in after.links if link.index not in old or link.index in replaced),
        unplug=tuple(link for link in before.links if link.index in gone),
        changed=tuple(
            link
            for link in after.links
            if link.index in old
            and link.index not in replaced
            and _properties(link) != _properties(old[link.index])
        ),
        removed=tuple(e for e in before.entries if e not in has and not gone & set(e.indexes)),
        added=tuple(e for e in after.entries if e not in had or gone & set(e.indexes)),
        switched=before.ipv6 != after.ipv6,
    )


def _properties(link: Link) -> tuple[str, str, int, bool, bool, bool, int]:
    return link.name, link.mac, link.mtu, link.up, link.arp, link.ipv6, link.accept_ra


def _is_endpoint(link: Link) -> bool:
    ours = link.kind == "tun" and link.name.startswith(TAP_PREFIX)
    return link.type == rtnetlink.ETHERNET and not (link.loopback or link.master or ours)


def _is_wanted(entry: Entry, links: dict[int, Link], loopback: set[int]) -> bool:
    if not set(entry.indexes) <= links.keys() | loopback:
        return False
    if entry.kind == "address":
        return _address_wanted(entry, links)
    if entry.kind == "route":
        facts = rtnetlink.route_facts(entry.body)
        by_itself = facts.protocol in {rtnetlink.PROTOCOL_KERNEL, rtnetlink.PROTOCOL_RA}
        cached = facts.flags & rtnetlink.CLONED
        return not (facts.table == rtnetlink.TABLE_LOCAL or by_itself or cached)
    if entry.kind == "rule":
        return not rtnetlink.rule_by_kernel(entry.body)
    return rtnetlink.neighbour_state(entry.body) == rtnetlink.NUD_PERMANENT


def _address_wanted(entry: Entry, links: dict[int, Link]) -> bool:
    """Not the loopback's own, nor one that the guest's kernel learns by itself."""
    if rtnetlink.address_bytes(entry) in _LOOPBACKS:
        return False
    flags = rtnetlink.address_flags(entry.body)
    if flags & _DAD_FAILED:
        return False
    link = links.get(entry.indexes[0])
    learned = entry.family == rtnetlink.AF_INET6 and not flags & rtnetlink.IFA_F_PERMANENT
    return not (learned and link is not None and link.accept_ra)


_RANKS: Final = {"address": 0, "route": 1, "neighbour": 3, "rule": 4}


def _order(entry: Entry) -> int:
    """Addresses come first, routes by a gateway after those that lead to it."""
    late = entry.kind == "route" and rtnetlink.route_facts(entry.body).by_gateway
    return _RANKS[entry.kind] + late
