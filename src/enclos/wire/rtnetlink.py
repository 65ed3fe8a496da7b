"""Routing messages of netlink to bytes and back: links, addresses, routes, neighbours. PURE.

Addresses and the like are kept as the kernel wrote them (`Entry`), as `ip route save` does: what
this kernel knows of a route another one understands, whether we do or not. Only what changes by
itself (times, counters) is taken out, so that two looks at the same thing are equal. The guest
uses this file, too. Numbers are those of `linux/rtnetlink.h`, `if_link.h` and `if_addr.h`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from enclos.structs import dataclass

NEWLINK: Final = 16
DELLINK: Final = 17
GETLINK: Final = 18
AF_INET: Final = 2
AF_INET6: Final = 10
IFF_UP: Final = 1
IFF_LOOPBACK: Final = 8
IFF_NOARP: Final = 0x80
ETHERNET: Final = 1
"""ARPHRD_ETHER, a link's type."""

_ADDRESS, _IFNAME, _MTU, _MASTER, _LINKINFO, _AF_SPEC, _NET_NS_FD = 1, 3, 4, 10, 18, 26, 28
_INFO_KIND: Final = 1
_INET6_CONF, _INET6_ADDR_GEN_MODE = 2, 8
_CONF_ACCEPT_RA, _CONF_DISABLE_IPV6 = 3, 26
ADDR_GEN_MODE_NONE: Final = 1
_TYPE_MASK: Final = 0x3FFF
_NESTED: Final = 0x8000

_ATTRIBUTE: Final = struct.Struct("=HH")
_LINK: Final = struct.Struct("=BxHiII")
_HOP: Final = struct.Struct("=HBBi")
_WORD: Final = struct.Struct("=I")

RTA_OIF: Final = 4
RTA_GATEWAY: Final = 5
RTA_MULTIPATH: Final = 9
RTA_TABLE: Final = 15
RTA_VIA: Final = 18
TABLE_LOCAL: Final = 255
PROTOCOL_KERNEL: Final = 2
PROTOCOL_RA: Final = 9
CLONED: Final = 0x200
"""RTM_F_CLONED: a cached route."""
IFA_F_PERMANENT: Final = 0x80
NUD_PERMANENT: Final = 0x80
_IFA_ADDRESS, _IFA_LOCAL, _IFA_CACHEINFO, _IFA_FLAGS = 1, 2, 6, 8
_RTA_PRIORITY: Final = 6
_TABLE_MAIN: Final = 254
_UNICAST: Final = 1
_FRA_PROTOCOL: Final = 21


@dataclass(frozen=True, slots=True)
class Link:
    """A network interface. `kind` is empty for a physical one; `master` 0 if it has none.

    `ipv6` says whether the interface speaks IPv6 at all.
    """

    index: int
    name: str
    kind: str
    type: int
    flags: int
    mac: str
    mtu: int
    master: int
    ipv6: bool
    accept_ra: int

    @property
    def up(self) -> bool:
        """Whether it was set up."""
        return bool(self.flags & IFF_UP)

    @property
    def arp(self) -> bool:
        """Whether it asks who has an address."""
        return not self.flags & IFF_NOARP

    @property
    def loopback(self) -> bool:
        """Whether it is `lo`."""
        return bool(self.flags & IFF_LOOPBACK)


@dataclass(frozen=True, slots=True)
class Entry:
    """An address, a route, a rule or a neighbour, as the kernel says it.

    `indexes` are the interfaces it names; `body` is a message without its netlink header.
    """

    kind: str
    family: int
    indexes: tuple[int, ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Kind:
    """How a kind of entry is said: message numbers, the fixed part, and what changes by itself."""

    new: int
    fixed: struct.Struct
    volatile: frozenset[int]

    @property
    def delete(self) -> int:
        """The message that removes one."""
        return self.new + 1

    @property
    def get(self) -> int:
        """The message that asks for all."""
        return self.new + 2


KINDS: Final[dict[str, Kind]] = {
    "address": Kind(20, struct.Struct("=BBBBI"), frozenset({_IFA_CACHEINFO})),
    "route": Kind(24, struct.Struct("=BBBBBBBBI"), frozenset({12, 30})),  # CACHEINFO, NH_ID
    "neighbour": Kind(28, struct.Struct("=BxxxiHBB"), frozenset({3, 4})),  # CACHEINFO, PROBES
    "rule": Kind(32, struct.Struct("=BBBBBBBBI"), frozenset()),
}


def attribute(kind: int, data: bytes) -> bytes:
    """One attribute, padded."""
    return _ATTRIBUTE.pack(len(data) + 4, kind) + data + bytes(-len(data) % 4)


def nested(kind: int, *parts: bytes) -> bytes:
    """An attribute made of attributes."""
    return attribute(kind | _NESTED, b"".join(parts))


def text(kind: int, value: str) -> bytes:
    """An attribute with a zero-terminated string."""
    return attribute(kind, value.encode() + b"\0")


def word(kind: int, value: int) -> bytes:
    """An attribute with 32 bits."""
    return attribute(kind, _WORD.pack(value))


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The attributes in `data`, up to the first that is none."""
    at = 0
    while at + 4 <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < 4 or at + length > len(data):
            return
        yield kind & _TYPE_MASK, data[at + 4 : at + length]
        at += (length + 3) & ~3


def link(body: bytes) -> Link:
    """The link of a NEWLINK message."""
    _, kind, index, flags, _ = _LINK.unpack_from(body)
    found = dict(attributes(body[_LINK.size :]))
    conf = _inet6_conf(found.get(_AF_SPEC, b""))
    return Link(
        index=index,
        name=_string(found.get(_IFNAME, b"")),
        kind=_string(dict(attributes(found.get(_LINKINFO, b""))).get(_INFO_KIND, b"")),
        type=kind,
        flags=flags,
        mac=found.get(_ADDRESS, b"").hex(":"),
        mtu=_integer(found.get(_MTU, b"")),
        master=_integer(found.get(_MASTER, b"")),
        ipv6=len(conf) > _CONF_DISABLE_IPV6 and not conf[_CONF_DISABLE_IPV6],
        accept_ra=conf[_CONF_ACCEPT_RA] if len(conf) > _CONF_ACCEPT_RA else 0,
    )


def _inet6_conf(spec: bytes) -> tuple[int, ...]:
    """The table of net.ipv6.conf of a link; empty without IPv6."""
    inet6 = dict(attributes(spec)).get(AF_INET6, b"")
    table = dict(attributes(inet6)).get(_INET6_CONF, b"")
    return struct.unpack(f"={len(table) // 4}i", table[: len(table) & ~3])


def _string(data: bytes) -> str:
    return data.rstrip(b"\0").decode("utf-8", "replace")


def _integer(data: bytes) -> int:
    return _WORD.unpack(data)[0] if len(data) == _WORD.size else 0


def set_link(
    index: int,
    *,
    name: str = "",
    mac: str = "",
    mtu: int = 0,
    up: bool | None = None,
    arp: bool | None = None,
    quiet: bool = False,
    namespace: int | None = None,
) -> bytes:
    """A NEWLINK message that changes what is given; `quiet` keeps IPv6 from making addresses.

    `namespace` is a descriptor of where the link is to go.
    """
    flags = (IFF_UP if up else 0) | (IFF_NOARP if arp is False else 0)
    change = (0 if up is None else IFF_UP) | (0 if arp is None else IFF_NOARP)
    parts = [_LINK.pack(0, 0, index, flags, change)]
    if name:
        parts.append(text(_IFNAME, name))
    if mac:
        parts.append(attribute(_ADDRESS, bytes.fromhex(mac.replace(":", ""))))
    if mtu:
        parts.append(word(_MTU, mtu))
    if namespace is not None:
        parts.append(word(_NET_NS_FD, namespace))
    if quiet:
        mode = attribute(_INET6_ADDR_GEN_MODE, bytes([ADDR_GEN_MODE_NONE]))
        parts.append(nested(_AF_SPEC, nested(AF_INET6, mode)))
    return b"".join(parts)


def all_of(kind: str) -> bytes:
    """The body of a request for every entry of `kind`, of either family."""
    return bytes(KINDS[kind].fixed.size)


ALL_LINKS: Final = bytes(_LINK.size)


def entry(kind: str, body: bytes) -> Entry:
    """An entry without what changes by itself."""
    fixed = KINDS[kind].fixed
    kept = [
        (number, data)
        for number, data in attributes(body[fixed.size :])
        if number not in KINDS[kind].volatile
    ]
    whole = body[: fixed.size] + b"".join(attribute(number, data) for number, data in kept)
    return Entry(kind, body[0], tuple(_indexes(kind, whole)), whole)


def reindexed(kind: str, body: bytes, new: Callable[[int], int]) -> bytes:
    """The message with every interface's number replaced by `new` of it."""
    fixed = KINDS[kind].fixed
    head, tail = body[: fixed.size], body[fixed.size :]
    if kind in {"address", "neighbour"}:
        number = struct.unpack_from("=i", head, 4)[0]
        return head[:4] + struct.pack("=i", new(number)) + head[8:] + tail
    if kind != "route":
        return body
    out = [head]
    for number, data in attributes(tail):
        if number == RTA_OIF:
            data = struct.pack("=i", new(struct.unpack("=i", data)[0]))
        elif number == RTA_MULTIPATH:
            data = b"".join(
                _HOP.pack(length, flags, hops, new(index)) + rest
                for length, flags, hops, index, rest in _hops(data)
            )
        out.append(attribute(number, data))
    return b"".join(out)


def _indexes(kind: str, body: bytes) -> Iterator[int]:
    found: list[int] = []

    def note(index: int) -> int:
        found.append(index)
        return index

    reindexed(kind, body, note)
    yield from dict.fromkeys(found)


def _hops(data: bytes) -> Iterator[tuple[int, int, int, int, bytes]]:
    """The next hops of a multipath route: length, flags, weight, interface, attributes."""
    at = 0
    while at + _HOP.size <= len(data):
        length, flags, hops, index = _HOP.unpack_from(data, at)
        if length < _HOP.size:
            return
        yield length, flags, hops, index, data[at + _HOP.size : at + ((length + 3) & ~3)]
        at += (length + 3) & ~3


@dataclass(frozen=True, slots=True)
class RouteFacts:
    """What decides whether a route is of interest, and when it can be added."""

    table: int
    protocol: int
    flags: int
    metric: int
    default: bool
    by_gateway: bool


def route_facts(body: bytes) -> RouteFacts:
    """The few things about a route that we look at."""
    fields = KINDS["route"].fixed.unpack_from(body)
    found: Mapping[int, bytes] = dict(attributes(body[KINDS["route"].fixed.size :]))
    table = _integer(found[RTA_TABLE]) if RTA_TABLE in found else fields[4]
    return RouteFacts(
        table=table,
        protocol=fields[5],
        flags=fields[8],
        metric=_integer(found.get(_RTA_PRIORITY, b"")),
        default=fields[1] == 0 and table == _TABLE_MAIN and fields[7] == _UNICAST,
        by_gateway=any(number in found for number in (RTA_GATEWAY, RTA_VIA, RTA_MULTIPATH)),
    )


def address_bytes(entry: Entry) -> bytes:
    """The address itself, 4 or 16 bytes."""
    found = dict(attributes(entry.body[KINDS["address"].fixed.size :]))
    return found.get(_IFA_LOCAL, found.get(_IFA_ADDRESS, b""))


def address_flags(body: bytes) -> int:
    """The flags of an address, all 32 bits."""
    found = dict(attributes(body[KINDS["address"].fixed.size :]))
    return _integer(found.get(_IFA_FLAGS, b"")) or body[2]


def neighbour_state(body: bytes) -> int:
    """NUD_… of a neighbour."""
    return int(KINDS["neighbour"].fixed.unpack_from(body)[2])


def rule_by_kernel(body: bytes) -> bool:
    """Whether a rule is one of those that every namespace begins with."""
    found = dict(attributes(body[KINDS["rule"].fixed.size :]))
    return found.get(_FRA_PROTOCOL, b"") == bytes([PROTOCOL_KERNEL])
