"""The network of a container of ours: from flags to its definition, from that to a start."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from enclos.cli import belongings, lookup, memberships
from enclos.cli.home import Home
from enclos.cli.parse import Parsed
from enclos.errors import InvalidRequest, WrongState
from enclos.linux import files
from enclos.network import namespace as namespaces
from enclos.oci.types import Spec
from enclos.plan import attachments, resolvconf, runnetwork, subnets
from enclos.plan import network as planning
from enclos.plan.attachments import Attachment
from enclos.plan.bridging import Endpoint, Membership
from enclos.plan.runnetwork import HOST_GATEWAY, Mode, NetworkOptions, RunNetwork
from enclos.plan.runoptions import Surroundings
from enclos.state import networks
from enclos.state.definitions import Definition, Network
from enclos.structs import dataclass
from enclos.wire.control import Uplink

RESOLV_CONF: Final = Path("/etc/resolv.conf")
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
        networks=asked.texts("network"),
        links=asked.texts("link"),
        publish=asked.texts("publish"),
        publish_all=asked.on("publish-all"),
        dns=asked.texts("dns"),
        dns_search=asked.texts("dns-search"),
        dns_options=asked.texts("dns-option"),
        add_host=asked.texts("add-host"),
        mac_address=asked.text("mac-address"),
        hostname=asked.text("hostname"),
        ip=asked.text("ip"),
        ip6=asked.text("ip6"),
        aliases=asked.texts("network-alias"),
    )
    default = home.settings.default_network
    found = runnetwork.network(options, default=default, exposed=exposed)
    if found.mode is Mode.CONTAINER:
        found = replace(found, other=lookup.find(home, found.other).id)
    if found.mode is Mode.NETWORK:
        joined = tuple(attachment(home, one) for one in found.joined)
        attachments.check_apart(joined)
        _check_internal(home, joined, found)
        found = replace(found, other="", joined=joined)
        found = replace(found, links=tuple(_linked(home, found, *one) for one in found.links))
    return found


def attachment(home: Home, asked: Attachment) -> Attachment:
    """The same by the network's name; raises `NotFound`, `InvalidRequest` for its addresses."""
    network = networks.find(memberships.networks_of(home), asked.network)
    subnets.addresses(network.subnets, asked.addresses, ())
    return replace(asked, network=network.name)


def _check_internal(home: Home, joined: Sequence[Attachment], found: RunNetwork) -> None:
    if found.ports and memberships.publisher(home, joined) is None:
        names = ", ".join(one.network for one in joined)
        raise InvalidRequest(
            f"conflicting options: ports are published and the network is internal: {names}",
            hint="choose another network, or leave out --publish",
        )


def _linked(home: Home, found: RunNetwork, name: str, alias: str) -> tuple[str, str]:
    """The container's id, and what it is called; it has to be in a network of this one."""
    other = lookup.find(home, name)
    names = {one.network for one in found.joined}
    if not names & {one.network for one in other.defined().network.joined}:
        raise InvalidRequest(
            f"cannot link to {name}, as it is in none of the container's networks",
            hint=f"connect it: enclos network connect {found.joined[0].network} {name}",
        )
    return other.id, alias


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
    text, _ = resolvconf.make(network, _host_resolv_conf(network.mode), servers)
    found = replace(found, network=network.mode, hosts=hosts, resolv_conf=text)
    if network.mode is Mode.HOST:
        base = _text(_HOSTS)
        return replace(found, hostname=socket.gethostname(), hosts_base=base)
    return found


def _servers(home: Home, network: RunNetwork) -> tuple[str, ...]:
    """Those of a network with a name are where its gateway is; of IPv4 if it has that.

    The first network's answers for all that the container is in.
    """
    if not network.joined:
        return ()
    found = networks.load(memberships.networks_of(home), network.joined[0].network)
    return tuple(one.gateway for one in found.subnets[:1])


def _host_resolv_conf(mode: Mode) -> str:
    """The host's; where that is systemd's own server, the file with the servers it asks."""
    text = _text(RESOLV_CONF)
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
    kept = Network(
        mode=str(network.mode),
        other=network.other,
        ports=network.ports,
        dns=network.dns,
        dns_search=network.dns_search,
        dns_options=network.dns_options,
        hosts=tuple(f"{name}:{address}" for address, name in network.hosts),
        mac=network.mac,
        links=tuple(f"{other}:{alias}" for other, alias in network.links),
    )
    return kept.joining(network.joined) if network.mode is Mode.NETWORK else kept


@dataclass(frozen=True, slots=True)
class Ready:
    """A start's spec, and what is to be in its new network; `told` hears of its addresses."""

    spec: Spec
    uplink: Uplink | None = None
    memberships: tuple[Membership, ...] = ()
    told: Callable[[Sequence[Endpoint]], None] | None = None


def ready(home: Home, definition: Definition) -> Ready:
    """What the container is started with now; raises `WrongState` if it joins a stopped one."""
    spec, network = belongings.spec_of(home, definition.id), definition.network
    if network.mode == Mode.CONTAINER:
        return Ready(_joining(spec, _namespace_of(home, network.other)))
    if network.mode == Mode.NONE:
        return Ready(spec)
    text, server = resolv_conf(home, network)
    place = lookup.directory(home, definition.id) / RESOLV_CONF.name
    files.write_atomic(place, text.encode(), mode=0o644)
    if network.mode == Mode.HOST:
        return Ready(spec)
    if network.mode == Mode.NETWORK:
        wanted = memberships.wanted(home, definition)
        linked = memberships.note_links(home, definition)
        if not wanted:
            memberships.write_hosts(home, definition, linked, ())
        told = partial(memberships.write_hosts, home, definition, linked)
        return Ready(spec, memberships=wanted, told=told)
    return Ready(spec, Uplink(network.mac, network.ports, server))


def resolv_conf(home: Home, network: Network) -> tuple[str, str]:
    """The text of the container's, and the host's server to ask instead."""
    asked = RunNetwork(
        Mode(network.mode), network.other, dns=network.dns, dns_search=network.dns_search,
        dns_options=network.dns_options, joined=network.joined,
    )  # fmt: skip
    return resolvconf.make(asked, _host_resolv_conf(asked.mode), _servers(home, asked))


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
