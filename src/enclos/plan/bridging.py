"""Networks with names, and containers in them, as netavark is to set them up. PURE.

What netavark reads is the same for its `setup` and its `teardown`, so it is what the undo ledger
keeps (format: netavark's documentation, since 1.0; `dns_servers` since 1.4).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import field
from itertools import count
from typing import Any, Final

from enclos.errors import Exists
from enclos.plan import subnets
from enclos.plan.subnets import Subnet
from enclos.structs import dataclass
from enclos.wire.control import PublishedPort

INTERFACE: Final = "eth"
"""How the container's are called in its namespace, with a number."""
_FIRST_METRIC: Final = 100
"""netavark's own."""
_BRIDGE_DIGITS: Final = 8
_SHORT: Final = 12
_PREFIX: Final = "enclos-"
_EVERYWHERE: Final = {"", "0.0.0.0", "::"}


@dataclass(frozen=True, slots=True)
class NamedNetwork:
    """A network that containers join by its name: a bridge on the host."""

    id: str
    name: str
    created: str
    subnets: tuple[Subnet, ...]
    internal: bool = False
    labels: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def bridge(self) -> str:
        """The name of its bridge: 15 characters, all that the kernel takes."""
        return f"{_PREFIX}{self.id[:_BRIDGE_DIGITS]}"

    @property
    def ipv6(self) -> bool:
        """Whether it has addresses of IPv6."""
        return any(one.network.version == 6 for one in self.subnets)


@dataclass(frozen=True, slots=True)
class Membership:
    """What a container asks of the network called `network`.

    `addresses` are those it wants, empty for any; `ports` are reached by the host's.
    """

    network: str
    name: str
    aliases: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    mac: str = ""
    dns: tuple[str, ...] = ()
    ports: tuple[PublishedPort, ...] = ()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A container in a network: its addresses, one of each subnet, and its published `ports`.

    `port` is the bridge's, `interface` the container's.
    """

    container: str
    name: str
    network: str
    addresses: tuple[str, ...]
    mac: str
    ports: tuple[PublishedPort, ...] = ()
    port: str = ""
    interface: str = "eth0"


def endpoint(
    network: NamedNetwork, container: str, asked: Membership, everybody: Sequence[Endpoint]
) -> Endpoint:
    """What the container gets, `everybody` being who is in any network.

    Raises `InvalidRequest`, `Exists` for what is taken.
    """
    members = [one for one in everybody if one.network == network.id]
    used = [address for other in members for address in other.addresses]
    own = [one for one in everybody if one.container == container]
    if any(one.network == network.id for one in own):
        raise Exists(
            f"endpoint with name {asked.name} already exists in network {network.name}",
            hint=f"see: enclos network inspect {network.name}",
        )
    chosen = subnets.addresses(network.subnets, asked.addresses, used)
    mac = asked.mac or subnets.mac_of(chosen[0])
    names = {one.interface for one in own}
    interface = next(name for n in count() if (name := f"{INTERFACE}{n}") not in names)
    return Endpoint(
        container, asked.name, network.id, chosen, mac, asked.ports, interface=interface
    )


def check_ports(asked: Sequence[PublishedPort], others: Iterable[Endpoint]) -> None:
    """Raise `Exists` for a port that one of `others` has: they would share netavark's rules."""
    for other in others:
        for taken in other.ports:
            for port in asked:
                if _collide(port, taken):
                    number = max(port.host_port, taken.host_port)
                    raise Exists(
                        f"cannot publish {number}/{port.protocol}: the port is already in use by "
                        f"container {other.name}",
                        hint="publish another port of the host",
                    )


def _collide(one: PublishedPort, other: PublishedPort) -> bool:
    apart = (
        one.host_port + one.count <= other.host_port
        or other.host_port + other.count <= one.host_port
    )
    places = {one.host_address, other.host_address} - _EVERYWHERE
    return one.protocol == other.protocol and not apart and len(places) < 2


def options(network: NamedNetwork, asked: Membership, found: Endpoint) -> str:
    """netavark's input, as JSON.

    Its rules are named after the network's name, which podman's may have as well: ours differs.
    """
    label = f"{_PREFIX}{network.id}"
    names = dict.fromkeys((found.container[:_SHORT], *asked.aliases))
    member = {
        "static_ips": list(found.addresses),
        "static_mac": found.mac,
        "aliases": list(names),
        "interface_name": found.interface,
    }
    text: dict[str, Any] = {
        "container_id": found.container,
        "container_name": asked.name,
        "networks": {label: member},
        "network_info": {label: _info(network, label, found.interface)},
        "port_mappings": [_mapping(port) for port in asked.ports],
    }
    if asked.dns:
        text["dns_servers"] = list(asked.dns)
    return json.dumps(text)


def _info(network: NamedNetwork, label: str, interface: str) -> dict[str, Any]:
    number = int(interface.removeprefix(INTERFACE))
    metric = {"metric": str(_FIRST_METRIC + number)} if number else {}
    return {
        "name": label,
        "id": network.id,
        "driver": "bridge",
        "network_interface": network.bridge,
        "created": network.created,
        "subnets": [{"subnet": one.subnet, "gateway": one.gateway} for one in network.subnets],
        "ipv6_enabled": network.ipv6,
        "internal": network.internal,
        "dns_enabled": True,
        "options": {"isolate": "true", **metric},
        "ipam_options": {"driver": "host-local"},
    }


def _mapping(port: PublishedPort) -> dict[str, Any]:
    return {
        "host_ip": port.host_address,
        "host_port": port.host_port,
        "container_port": port.port,
        "range": port.count,
        "protocol": port.protocol,
    }
