"""Subnets and addresses of networks with names: as asked for, or chosen. PURE."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network
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
    """A range of addresses with the one that the bridge has, as text."""

    subnet: str
    gateway: str

    @property
    def network(self) -> Network:
        """The range, to calculate with."""
        return ipaddress.ip_network(self.subnet)


def subnets(
    asked: Sequence[str],
    gateways: Sequence[str],
    *,
    ipv6: bool,
    taken: Iterable[Network],
    entropy: bytes,
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
    return _with_gateways(sorted(wanted, key=lambda network: network.version), gateways)


def _read(text: str) -> Network:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise bad("subnet", text, "it is no range of addresses", hint=_WRITE) from error
    if "/" not in text or network.with_prefixlen != str(ipaddress.ip_interface(text)):
        raise bad("subnet", text, f"the range is {network}", hint=_WRITE)
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
    return tuple(_one(subnet.network, wanted, used) for subnet in ranges)


def _one(network: Network, wanted: Sequence[str], used: set[str]) -> str:
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
    for free in map(str, network.hosts()):
        if free not in used:
            return free
    raise Exists(f"every address of {network} is in use", hint="see: enclos network inspect")


def mac_of(address: str) -> str:
    """A hardware address for whoever has `address`, as docker makes it: local, no two alike."""
    packed = ipaddress.ip_address(address).packed
    return (b"\x02\x42" + packed[-4:]).hex(":")
