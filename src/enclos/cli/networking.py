"""The network of a container of ours: from flags to its definition, from that to a start."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from enclos.cli import belongings, lookup
from enclos.cli.home import Home
from enclos.cli.parse import Parsed
from enclos.errors import InvalidRequest, WrongState
from enclos.linux import files
from enclos.network import namespace as namespaces
from enclos.oci.types import Spec
from enclos.plan import etcfiles, runnetwork, subnets
from enclos.plan import network as planning
from enclos.plan.bridging import Endpoint, Membership
from enclos.plan.runnetwork import HOST_GATEWAY, Mode, NetworkOptions, RunNetwork
from enclos.plan.runoptions import Surroundings
from enclos.state import networks
from enclos.state.definitions import Definition, Network
from enclos.state.networks import Networks
from enclos.structs import dataclass
from enclos.wire.control import Uplink

_RESOLV_CONF: Final = Path("/etc/resolv.conf")
_STUBLESS: Final = Path("/run/systemd/resolve/resolv.conf")
_HOSTS: Final = Path("/etc/hosts")
_MAX_BYTES: Final = 1 << 20


def check(home: Home, asked: Parsed) -> None:
    """Raise `InvalidRequest` or `NotFound` for what cannot be, before an image is fetched."""
    _found(home, asked, ())


def asked_for(home: Home, asked: Parsed, exposed: tuple[str, ...]) -> RunNetwork:
    """What the flags mean here: a container found, free ports taken; raises `InvalidRequest`."""
    found = _found(home, asked, exposed)
    if any(address == HOST_GATEWAY for address, _ in found.hosts):
        found = replace(found, hosts=tuple(_own_for_gateway(found.hosts)))
    with ExitStack() as held:
        return runnetwork.chosen(found, _free_ports(held, found))


def _found(home: Home, asked: Parsed, exposed: tuple[str, ...]) -> RunNetwork:
    options = NetworkOptions(
        network=asked.text("network"),
        publish=asked.texts("publish"),
        publish_all=asked.on("publish-all"),
        dns=asked.texts("dns"),
        dns_search=asked.texts("dns-search"),
        dns_options=asked.texts("dns-option"),
        add_host=asked.texts("add-host"),
        mac_address=asked.text("mac-address"),
        hostname=asked.text("hostname"),
        addresses=(*asked.texts("ip")[-1:], *asked.texts("ip6")[-1:]),
        aliases=asked.texts("network-alias"),
    )
    default = home.settings.default_network
    found = runnetwork.network(options, default=default, exposed=exposed)
    if found.mode is Mode.CONTAINER:
        found = replace(found, other=lookup.find(home, found.other).id)
    if found.mode is Mode.NETWORK:
        network = networks.find(networks_of(home), found.other)
        subnets.addresses(network.subnets, found.addresses, ())
        if network.internal and found.ports:
            raise InvalidRequest(
                f"conflicting options: ports are published and the network {network.name} is "
                "internal",
                hint="choose another network, or leave out --publish",
            )
        found = replace(found, other=network.name)
    return found


def networks_of(home: Home) -> Networks:
    """The networks with names."""
    return Networks(home.data_root, home.root)


def _free_ports(held: ExitStack, found: RunNetwork) -> Iterator[int]:
    """Ports that nobody has, in the order of those that want one."""
    for port in found.ports:
        if port.host_port:
            continue
        kind = socket.SOCK_STREAM if port.protocol == "tcp" else socket.SOCK_DGRAM
        family = socket.AF_INET6 if ":" in port.host_address else socket.AF_INET
        door = held.enter_context(socket.socket(family, kind))
        try:
            door.bind((port.host_address, 0))
        except OSError as error:
            raise InvalidRequest(
                f"cannot publish at {port.host_address}: {error.strerror}",
                hint="see which addresses the host has: ip address",
            ) from error
        yield door.getsockname()[1]


def _own_for_gateway(hosts: tuple[tuple[str, str], ...]) -> Iterator[tuple[str, str]]:
    own = _own_address()
    for address, name in hosts:
        yield own if address == HOST_GATEWAY else address, name


def _own_address() -> str:
    """The host's address on the interface that leads out."""
    path = "/proc/thread-self/ns/net"
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    with namespaces.opened(descriptor, path) as namespace:
        addresses = planning.addresses_of(planning.shared(namespaces.look(namespace)))
    if not addresses:
        raise InvalidRequest(
            f"the host has no address that {HOST_GATEWAY} could stand for",
            hint="write the address out: --add-host NAME:ADDRESS",
        )
    return addresses[0]


def surroundings(home: Home, network: RunNetwork, found: Surroundings) -> Surroundings:
    """`found` with what the network brings along: names of hosts, servers of names."""
    hosts = tuple(f"{address}\t{name}" for address, name in network.hosts)
    if network.mode is Mode.CONTAINER:
        other = lookup.find(home, network.other)
        etc = os.fspath(lookup.directory(home, other.id)) if other.definition else ""
        name = other.definition.hostname if other.definition else ""
        return replace(found, network=network.mode, hostname=name, etc_home=etc)
    servers = _servers(home, network)
    text, _ = runnetwork.resolv_conf(network, _host_resolv_conf(network.mode), servers)
    found = replace(found, network=network.mode, hosts=hosts, resolv_conf=text)
    if network.mode is Mode.HOST:
        base = _text(_HOSTS)
        return replace(found, hostname=socket.gethostname(), hosts_base=base)
    return found


def _servers(home: Home, network: RunNetwork) -> tuple[str, ...]:
    """Those of a network with a name are where its gateway is; of IPv4 if it has that."""
    if network.mode is not Mode.NETWORK:
        return ()
    found = networks.load(networks_of(home), network.other)
    return tuple(one.gateway for one in found.subnets[:1])


def _host_resolv_conf(mode: Mode) -> str:
    """The host's; where that is systemd's own server, the file with the servers it asks."""
    text = _text(_RESOLV_CONF)
    if mode is Mode.BRIDGE and "nameserver 127.0.0.53" in text and _STUBLESS.exists():
        return _text(_STUBLESS)
    return text


def _text(path: Path) -> str:
    try:
        return files.read_bounded(path, _MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""  # a host without it has none to pass on


def to_keep(network: RunNetwork) -> Network:
    """As it is written down."""
    return Network(
        mode=str(network.mode),
        other=network.other,
        ports=network.ports,
        dns=network.dns,
        dns_search=network.dns_search,
        dns_options=network.dns_options,
        hosts=tuple(f"{name}:{address}" for address, name in network.hosts),
        mac=network.mac,
        addresses=network.addresses,
        aliases=network.aliases,
    )


@dataclass(frozen=True, slots=True)
class Ready:
    """A start's spec, and what is to be in its new network; `told` hears of its addresses."""

    spec: Spec
    uplink: Uplink | None = None
    membership: Membership | None = None
    told: Callable[[Endpoint], None] | None = None


def ready(home: Home, definition: Definition) -> Ready:
    """What the container is started with now; raises `WrongState` if it joins a stopped one."""
    spec, network = belongings.spec_of(home, definition.id), definition.network
    if network.mode == Mode.CONTAINER:
        return Ready(_joining(spec, _namespace_of(home, network.other)))
    if network.mode == Mode.NONE:
        return Ready(spec)
    asked = RunNetwork(
        Mode(network.mode), network.other, dns=network.dns, dns_search=network.dns_search,
        dns_options=network.dns_options,
    )  # fmt: skip
    servers = _servers(home, asked)
    text, server = runnetwork.resolv_conf(asked, _host_resolv_conf(asked.mode), servers)
    place = lookup.directory(home, definition.id) / "resolv.conf"
    files.write_atomic(place, text.encode(), mode=0o644)
    if network.mode == Mode.HOST:
        return Ready(spec)
    if network.mode == Mode.NETWORK:
        told = partial(_write_hosts, home, definition)
        return Ready(spec, membership=_membership(definition), told=told)
    return Ready(spec, Uplink(network.mac, network.ports, server))


def _membership(definition: Definition) -> Membership:
    network = definition.network
    return Membership(
        network.other,
        definition.name,
        aliases=network.aliases,
        addresses=network.addresses,
        mac=network.mac,
        dns=network.dns,
        ports=network.ports,
    )


def _write_hosts(home: Home, definition: Definition, endpoint: Endpoint) -> None:
    """The container's hosts file, with the addresses that it has this time."""
    pairs = (text.partition(":") for text in definition.network.hosts)
    others = (f"{address}\t{name}" for name, _, address in pairs)
    text = etcfiles.hosts(definition.hostname, endpoint.addresses, others)
    place = lookup.directory(home, definition.id) / "hosts"
    files.write_atomic(place, text.encode(), mode=0o644)


def _namespace_of(home: Home, container_id: str) -> str:
    other = lookup.find(home, container_id)
    if not other.running or other.record is None:
        raise WrongState(
            f"cannot join the network of container {other.name}: it is not running",
            hint=f"run: enclos start {other.name}",
        )
    return f"/proc/{other.record.pid}/ns/net"


def _joining(spec: Spec, path: str) -> Spec:
    if spec.linux is None:
        return spec
    listed = tuple(
        replace(one, path=path) if one.type == "network" else one for one in spec.linux.namespaces
    )
    return replace(spec, linux=replace(spec.linux, namespaces=listed))
