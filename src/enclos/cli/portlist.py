"""Published ports as `ps`, `port` and `inspect` show them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, TypeAlias

from enclos.plan import uplink
from enclos.plan.bridging import Endpoint, NamedNetwork
from enclos.plan.runnetwork import Mode
from enclos.state.definitions import Network
from enclos.wire.control import PublishedPort

_EVERYWHERE: Final = "0.0.0.0"
Member: TypeAlias = tuple[NamedNetwork, Endpoint]


def published(
    network: Network, members: Iterable[Member], *, running: bool
) -> tuple[PublishedPort, ...]:
    """What is reached now: of networks with names, what these publish for the container."""
    if not running:
        return ()
    if network.mode != Mode.NETWORK:
        return network.ports
    return tuple(port for _, endpoint in members for port in endpoint.ports)


def each(ports: Iterable[PublishedPort]) -> Iterator[tuple[PublishedPort, str, int]]:
    """Every single port, the host's address and port it is reached at."""
    for port in ports:
        for at in range(port.count):
            single = PublishedPort(
                port.protocol, port.host_address, port.host_port + at, port.port + at
            )
            yield single, port.host_address or _EVERYWHERE, port.host_port + at


def summary(ports: Iterable[PublishedPort]) -> str:
    """`0.0.0.0:8080->80/tcp`, ranges as ranges, as docker's listing has it."""
    return ", ".join(map(_shown, ports))


def _shown(port: PublishedPort) -> str:
    host = place(port.host_address or _EVERYWHERE, uplink.span(port.host_port, port.count))
    return f"{host}->{uplink.span(port.port, port.count)}/{port.protocol}"


def place(address: str, port: object) -> str:
    """An address and a port, one of IPv6 in brackets."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def bindings(ports: Iterable[PublishedPort]) -> dict[str, list[dict[str, str]]]:
    """docker's `PortBindings`."""
    found: dict[str, list[dict[str, str]]] = {}
    for port, address, number in each(ports):
        place = {"HostIp": address, "HostPort": str(number)}
        found.setdefault(f"{port.port}/{port.protocol}", []).append(place)
    return found


def host_config(network: Network) -> dict[str, Any]:
    """What was asked for, with docker's names."""
    modes = {Mode.CONTAINER: f"container:{network.other}", Mode.NETWORK: network.other}
    return {
        "NetworkMode": modes.get(Mode(network.mode), network.mode),
        "PortBindings": bindings(network.ports),
        "Dns": list(network.dns),
        "DnsOptions": list(network.dns_options),
        "DnsSearch": list(network.dns_search),
        "ExtraHosts": list(network.hosts),
        "Links": list(network.links),
    }


def settings(network: Network, members: Sequence[Member], *, running: bool) -> dict[str, Any]:
    """docker's `NetworkSettings`: addresses while it runs; `members`: in networks with names.

    What is not in a network's own part is the first network's.
    """
    ports = bindings(published(network, members, running=running))
    if network.mode == Mode.NETWORK:
        named = _named(network, members)
        first = next(iter(named.values()), _none())
        return {**{key: first[key] for key in _none()}, "Ports": ports, "Networks": named}
    address = _none()
    if network.mode == Mode.BRIDGE and running:
        address |= {
            "Gateway": uplink.GATEWAY,
            "IPAddress": uplink.ADDRESS,
            "IPPrefixLen": uplink.PREFIX,
            "MacAddress": network.mac or uplink.MAC,
        }
    one = {} if network.mode == Mode.CONTAINER else {network.mode: address}
    return {**address, "Ports": ports, "Networks": one}


def _named(network: Network, members: Sequence[Member]) -> dict[str, dict[str, Any]]:
    """Each network that the container belongs to; addresses where it has some now."""
    found = {one.network: {**_none(), "Aliases": list(one.aliases)} for one in network.joined}
    for named, endpoint in members:
        found[named.name] |= {**_of(named, endpoint), "NetworkID": named.id}
    return found


def _none() -> dict[str, Any]:
    return {"Gateway": "", "IPAddress": "", "IPPrefixLen": 0, "IPv6Gateway": "",
            "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0, "MacAddress": ""}  # fmt: skip


def _of(network: NamedNetwork, endpoint: Endpoint) -> dict[str, Any]:
    found: dict[str, Any] = {"MacAddress": endpoint.mac}
    for subnet, address in zip(network.subnets, endpoint.addresses, strict=False):
        gateway = "" if network.internal else subnet.gateway
        length = subnet.network.prefixlen
        if subnet.network.version == 4:
            found |= {"IPAddress": address, "IPPrefixLen": length, "Gateway": gateway}
        else:
            found |= {"GlobalIPv6Address": address, "GlobalIPv6PrefixLen": length,
                      "IPv6Gateway": gateway}  # fmt: skip
    return found
