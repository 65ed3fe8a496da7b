"""Subnets and addresses of networks with names: as asked for, or chosen. PURE."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network
from itertools import islice
from typing import Final, TypeAlias

from enclos.errors import Exists, InvalidRequest
from enclos.plan.flagtext import bad
from enclos.structs import dataclass

Network: TypeAlias = IPv4Network | IPv6Network
POOL: Final = ipaddress.IPv4Network("10.65.0.0/16")
"""Where subnets of IPv4 are chosen; none of docker's, podman's or Kubernetes' own ranges."""
_CHOSEN_PREFIX: Final = 24
_CHOSEN_PREFIX6: Final = 64
_UNIQUE_LOCAL: Final = b"\xfd"
_LONGEST: Final = {4: 30, 6: 126}


@dataclass(frozen=True, slots=True)
class Subnet:
    """A range of addresses with the one that the bridge has, as text.

    `ip_range` is the part of it in which addresses are chosen, empty for all of it.
    """

    subnet: str
    gateway: str
    ip_range: str = ""

    @property
    def network(self) -> Network:
        """The range, to calculate with."""
        return ipaddress.ip_network(self.subnet)

    def free(self) -> Iterator[str]:
        """The addresses for who asks for none in particular, in order."""
        if not self.ip_range:
            yield from map(str, self.network.hosts())
            return
        for address in ipaddress.ip_network(self.ip_range):
            if _usable(self.network, address):
                yield str(address)


def subnets(
    asked: Sequence[str],
    gateways: Sequence[str],
    *,
    ipv6: bool,
    taken: Iterable[Network],
    entropy: bytes,
    ip_ranges: Sequence[str] = (),
) -> tuple[Subnet, ...]:
    """One of IPv4 and, if wanted, one of IPv6; what is not asked for is chosen.

    `taken` are those of other networks and of the host; `entropy` are five bytes for a range that
    nobody else is likely to have (RFC 4193). Raises `InvalidRequest`, `Exists` for an overlap.
    """
    taken = list(taken)
    wanted = [_read(text) for text in asked]
    for version in (4, 6):
        if sum(network.version == version for network in wanted) > 1:
            raise InvalidRequest(
                f"several subnets of IPv{version}",
                hint="a network has one of IPv4 and perhaps one of IPv6",
            )
    for network in wanted:
        for other in taken:
            if _overlap(network, other):
                raise Exists(
                    f"the subnet {network} overlaps with {other}, which is in use",
                    hint="choose another one, or none; see: ip address, enclos network ls",
                )
    if not any(network.version == 4 for network in wanted):
        wanted.insert(0, _free(taken))
    if ipv6 and not any(network.version == 6 for network in wanted):
        wanted.append(IPv6Network((_UNIQUE_LOCAL + entropy[:5] + bytes(10), _CHOSEN_PREFIX6)))
    found = _with_gateways(sorted(wanted, key=lambda network: network.version), gateways)
    return _with_ranges(found, ip_ranges)


def _read_range(flag: str, text: str) -> Network:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise bad(flag, text, "it is no range of addresses", hint=_WRITE) from error
    if "/" not in text or network.with_prefixlen != str(ipaddress.ip_interface(text)):
        raise bad(flag, text, f"the range is {network}", hint=_WRITE)
    return network


def _with_ranges(found: tuple[Subnet, ...], asked: Sequence[str]) -> tuple[Subnet, ...]:
    ranges: dict[str, str] = {}
    for text in asked:
        network = _read_range("ip-range", text)
        subnet = next((one.subnet for one in found if _within(network, one.network)), "")
        if not subnet:
            raise bad("ip-range", text, "it is no part of the network's subnets")
        if subnet in ranges:
            raise bad("ip-range", text, f"there is one of {subnet} already")
        ranges[subnet] = str(network)
    ranged = tuple(replace(one, ip_range=ranges.get(one.subnet, "")) for one in found)
    for one in ranged:
        if one.ip_range and all(address == one.gateway for address in islice(one.free(), 2)):
            raise bad("ip-range", one.ip_range, "it has no address for a container", hint=_WRITE)
    return ranged


def _within(one: Network, other: Network) -> bool:
    return _overlap(one, other) and one.prefixlen >= other.prefixlen


def _read(text: str) -> Network:
    network = _read_range("subnet", text)
    if network.prefixlen > _LONGEST[network.version]:
        raise bad("subnet", text, "it has no room for a container", hint=_WRITE)
    if network.is_multicast or network.is_loopback or network.prefixlen == 0:
        raise bad("subnet", text, "no interface can have such addresses", hint=_WRITE)
    return network


_WRITE: Final = "write ADDRESS/LENGTH, as 10.1.2.0/24 or fd00:1:2::/64"


def _overlap(one: Network, other: Network) -> bool:
    if isinstance(one, IPv4Network) and isinstance(other, IPv4Network):
        return one.overlaps(other)
    if isinstance(one, IPv6Network) and isinstance(other, IPv6Network):
        return one.overlaps(other)
    return False


def _free(taken: Sequence[Network]) -> Network:
    for network in POOL.subnets(new_prefix=_CHOSEN_PREFIX):
        if not any(_overlap(network, other) for other in taken):
            return network
    raise InvalidRequest(
        f"every range in {POOL} is in use", hint="choose one with --subnet, or remove networks"
    )


def _with_gateways(networks: Sequence[Network], gateways: Sequence[str]) -> tuple[Subnet, ...]:
    asked: dict[int, str] = {}
    for text in gateways:
        try:
            address = ipaddress.ip_address(text)
        except ValueError as error:
            raise bad("gateway", text, "it is no IP address") from error
        for number, network in enumerate(networks):
            if address in network and number not in asked and _usable(network, address):
                asked[number] = str(address)
                break
        else:
            raise bad("gateway", text, "it is no address of the network's subnets")
    return tuple(
        Subnet(str(network), asked.get(number) or str(network[1]))
        for number, network in enumerate(networks)
    )


def _usable(network: Network, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    last = network.version == 4 and address == network.broadcast_address
    return address != network.network_address and not last


def addresses(
    ranges: Sequence[Subnet], wanted: Sequence[str], used: Iterable[str]
) -> tuple[str, ...]:
    """An address of each range: what is `wanted`, else the first that nobody has.

    Raises `InvalidRequest` for one of no range, `Exists` for one that is taken.
    """
    used = {*used, *(one.gateway for one in ranges)}
    for text in wanted:
        if not any(ipaddress.ip_address(text) in one.network for one in ranges):
            raise InvalidRequest(
                f"the address {text} is in none of the network's subnets",
                hint="choose one of: " + ", ".join(one.subnet for one in ranges),
            )
    return tuple(_one(subnet, wanted, used) for subnet in ranges)


def _one(subnet: Subnet, wanted: Sequence[str], used: set[str]) -> str:
    network = subnet.network
    for text in wanted:
        address = ipaddress.ip_address(text)
        if address not in network:
            continue
        if not _usable(network, address):
            raise InvalidRequest(
                f"the address {text} is no container's", hint=f"choose another one of {network}"
            )
        if str(address) in used:
            raise Exists(
                f"the address {text} is already in use", hint="see: enclos network inspect"
            )
        return str(address)
    for free in subnet.free():
        if free not in used:
            return free
    raise Exists(
        f"every address of {subnet.ip_range or network} is in use",
        hint="see: enclos network inspect",
    )


def mac_of(address: str) -> str:
    """A hardware address for whoever has `address`, as docker makes it: local, no two alike."""
    packed = ipaddress.ip_address(address).packed
    return (b"\x02\x42" + packed[-4:]).hex(":")
