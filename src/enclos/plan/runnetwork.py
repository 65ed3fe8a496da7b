"""docker's flags about networks: which one, what is published, who is known by name. PURE."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Final

from enclos.errors import InvalidRequest
from enclos.plan import attachments, uplink
from enclos.plan.attachments import Attachment
from enclos.plan.flagtext import bad, check_text
from enclos.structs import dataclass
from enclos.wire.control import PublishedPort

MOST_PORTS: Final = 1024
HOST_GATEWAY: Final = "host-gateway"
_RANGE: Final = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?", re.ASCII)
_WRITE: Final = "write [[IP:]HOST_PORT:]PORT[/tcp|/udp], ranges as 8000-8009:80-89"
_CONTAINER: Final = "container:"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", re.ASCII)


class Mode(StrEnum):
    """What kind of network; `container`: another container's, `network`: one with a name."""

    NONE = "none"
    BRIDGE = "bridge"
    HOST = "host"
    CONTAINER = "container"
    NETWORK = "network"


PRIVATE: Final = frozenset({Mode.BRIDGE, Mode.NETWORK})
"""A container in one of these has an interface of its own, and ports that can be published."""


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """The flags as they were written."""

    networks: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    publish: tuple[str, ...] = ()
    publish_all: bool = False
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    add_host: tuple[str, ...] = ()
    mac_address: str = ""
    hostname: str = ""
    ip: str = ""
    ip6: str = ""
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunNetwork:
    """What they mean. `other` is the container whose network it is, as called.

    `joined` are networks with names, `links` pairs of another container and what it is called.
    `ports` whose `host_port` is 0 want any free one. `hosts` are pairs of address and name.
    """

    mode: Mode = Mode.NONE
    other: str = ""
    ports: tuple[PublishedPort, ...] = ()
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    hosts: tuple[tuple[str, str], ...] = ()
    mac: str = ""
    joined: tuple[Attachment, ...] = ()
    links: tuple[tuple[str, str], ...] = ()


def network(options: NetworkOptions, *, default: str, exposed: Iterable[str] = ()) -> RunNetwork:
    """The network asked for; raises `InvalidRequest` naming the flag.

    `default` is the network of containers that ask for none and publish nothing; `exposed` are
    the ports that the image tells of.
    """
    publishes = bool(options.publish or options.publish_all)
    asked = tuple(map(attachments.read, filter(None, options.networks)))
    if not asked:
        asked = (Attachment(Mode.BRIDGE if publishes and default == Mode.NONE else default),)
    mode, other = _mode(asked[0].network)
    _check_together(options, mode, publishes=publishes)
    _check_several(asked)
    ports = [port for text in options.publish for port in _published(text)]
    if options.publish_all:
        ports += _exposed(exposed, ports)
    _check_ports(ports)
    return RunNetwork(
        mode=mode,
        other=other,
        ports=tuple(ports),
        dns=tuple(attachments.address("dns", text) for text in options.dns),
        dns_search=tuple(check_text("dns-search", text) for text in options.dns_search),
        dns_options=tuple(check_text("dns-option", text) for text in options.dns_options),
        hosts=tuple(map(_host, options.add_host)),
        mac=attachments.hardware("mac-address", options.mac_address),
        joined=_joined(options, asked) if mode is Mode.NETWORK else (),
        links=tuple(map(_link, options.links)),
    )


def _joined(options: NetworkOptions, asked: Sequence[Attachment]) -> tuple[Attachment, ...]:
    """The flags that say no network's name are about the first one, as docker has it."""
    first, *rest = asked
    addresses = attachments.addresses(options.ip, options.ip6)
    aliases = tuple(attachments.alias("network-alias", text) for text in options.aliases)
    mac = attachments.hardware("mac-address", options.mac_address)
    for flag, both in (
        ("ip", addresses and first.addresses),
        ("network-alias", aliases and first.aliases),
        ("mac-address", mac and first.mac),
    ):
        if both:
            raise InvalidRequest(
                f"conflicting options: --{flag} and --network say the same",
                hint="say it once, in --network",
            )
    first = Attachment(
        first.network,
        addresses or first.addresses,
        aliases or first.aliases,
        mac or first.mac,
    )
    return (first, *rest)


def _check_several(asked: Sequence[Attachment]) -> None:
    attachments.check_apart(asked)
    for one in asked:
        mode, _ = _mode(one.network)
        if mode is not Mode.NETWORK and (len(asked) > 1 or one != Attachment(one.network)):
            raise InvalidRequest(
                f"conflicting options: the network {mode} and what networks with names have",
                hint="only those can be several, or have addresses and aliases: "
                "enclos network create",
            )


def _link(text: str) -> tuple[str, str]:
    """`CONTAINER[:ALIAS]`."""
    name, _, alias = text.partition(":")
    alias = alias or name
    if not name or not attachments.is_host(alias):
        raise bad("link", text, "it is not CONTAINER or CONTAINER:ALIAS")
    return name, alias


def _mode(name: str) -> tuple[Mode, str]:
    if name.startswith(_CONTAINER) and len(name) > len(_CONTAINER):
        return Mode.CONTAINER, name.removeprefix(_CONTAINER)
    if name in {Mode.NONE, Mode.BRIDGE, Mode.HOST}:
        return Mode(name), ""
    if _NAME.fullmatch(name):
        return Mode.NETWORK, name
    raise InvalidRequest(
        f"network {name[:80]!r} not found",
        hint="there are none, bridge, host, container:NAME and what enclos network ls shows",
    )


def check_name(name: str) -> str:
    """`name` if a network can be called so; raises `InvalidRequest`."""
    if not _NAME.fullmatch(name) or name in set(Mode) or name == "default":
        raise InvalidRequest(
            f"invalid network name {name[:80]!r}",
            hint="start with a letter or digit, then at most 62 letters, digits and _ . -, and "
            f"none of: {', '.join(Mode)}, default",
        )
    return name


def _check_together(options: NetworkOptions, mode: Mode, *, publishes: bool) -> None:
    """What makes no sense in a network of that kind."""
    named = {
        "dns": options.dns,
        "dns-search": options.dns_search,
        "dns-option": options.dns_options,
        "add-host": options.add_host,
        "hostname": options.hostname,
    }
    if mode is Mode.CONTAINER:
        for flag, value in named.items():
            if value:
                raise InvalidRequest(
                    f"conflicting options: --{flag} and the network of another container",
                    hint="give it to that container",
                )
    if publishes and mode not in PRIVATE:
        raise InvalidRequest(
            f"conflicting options: ports are published and the network is {mode}",
            hint=_ADVICE[mode],
        )
    if options.links and mode is not Mode.NETWORK:
        raise InvalidRequest(
            f"conflicting options: --link and the network {mode}",
            hint="containers reach each other in a network that both are in: enclos network create "
            "NAME, then --network NAME",
        )
    if mode is not Mode.NETWORK:
        for flag, value in (("ip", options.ip or options.ip6), ("network-alias", options.aliases)):
            if value:
                raise InvalidRequest(
                    f"conflicting options: --{flag} and the network {mode}",
                    hint="in a network with a name there is such a thing: enclos network create",
                )
    if options.mac_address and mode not in PRIVATE:
        raise InvalidRequest(
            f"conflicting options: --mac-address and the network {mode}",
            hint="a container has a hardware address in a network of its own: --network bridge",
        )


_ADVICE: Final = {
    Mode.NONE: "choose --network bridge",
    Mode.HOST: "leave out --publish: the container's ports are the host's",
    Mode.CONTAINER: "publish the ports of that container",
}


def _published(text: str) -> Iterator[PublishedPort]:
    """What one --publish says: docker's grammar."""
    body, slash, protocol = text.partition("/")
    protocol = protocol if slash else "tcp"
    if protocol not in {"tcp", "udp"}:
        raise bad("publish", text, f"{protocol[:20]!r} is not tcp or udp", hint=_WRITE)
    address, host, inner = _three(text, body)
    first, count = _range(text, inner)
    if not host:
        for number in range(first, first + count):
            yield PublishedPort(protocol, address, 0, number)
        return
    host_first, host_count = _range(text, host)
    if host_count != count:
        raise bad("publish", text, "the ranges are not of one length", hint=_WRITE)
    yield PublishedPort(protocol, address, host_first, first, count)


def _three(text: str, body: str) -> tuple[str, str, str]:
    """Address, port of the host and port, the first two perhaps empty."""
    address = ""
    if body.startswith("["):
        address, end, body = body[1:].partition("]:")
        if not end:
            raise bad("publish", text, "an address in brackets, then a colon", hint=_WRITE)
    parts = body.split(":")
    if len(parts) == 3 and not address:
        address, *parts = parts
    if len(parts) > 2:
        raise bad("publish", text, "too many colons", hint=_WRITE)
    host = parts[0] if len(parts) == 2 else ""
    return (attachments.address("publish", address) if address else ""), host, parts[-1]


def _range(text: str, ports: str) -> tuple[int, int]:
    """The first, and how many."""
    found = _RANGE.fullmatch(ports)
    if found is None:
        raise bad("publish", text, f"{ports[:40]!r} is no port", hint=_WRITE)
    first, last = int(found[1]), int(found[2] or found[1])
    if not 0 < first <= last < 1 << 16:
        raise bad("publish", text, "ports are 1 to 65535", hint=_WRITE)
    return first, last - first + 1


def _exposed(exposed: Iterable[str], published: list[PublishedPort]) -> Iterator[PublishedPort]:
    """Those that the image exposes and nobody has published yet."""
    known = {(port.protocol, port.port + at) for port in published for at in range(port.count)}
    for text in exposed:
        for port in _published(text):
            if (port.protocol, port.port) not in known:
                yield port


def _check_ports(ports: list[PublishedPort]) -> None:
    if sum(port.count for port in ports) > MOST_PORTS:
        raise InvalidRequest(
            f"more than {MOST_PORTS} ports are published", hint="publish fewer, or --network host"
        )
    inner: dict[tuple[str, int], int] = {}
    for port in ports:
        for at in range(port.count if port.host_port else 0):
            place = port.protocol, port.host_port + at
            if inner.setdefault(place, port.port + at) != port.port + at:
                raise InvalidRequest(
                    f"port {place[1]}/{place[0]} of the host is published for two ports",
                    hint="choose another port of the host for one of them",
                )


def _host(text: str) -> tuple[str, str]:
    """`NAME:ADDRESS` or `NAME=ADDRESS`, the other way round."""
    name, found, address = text.partition("=") if "=" in text else text.partition(":")
    if not found or not attachments.is_host(name):
        raise bad("add-host", text, "it is not NAME:ADDRESS")
    if address == HOST_GATEWAY:
        return HOST_GATEWAY, name
    return attachments.address("add-host", address.removeprefix("[").removesuffix("]")), name


def chosen(asked: RunNetwork, free: Iterator[int]) -> RunNetwork:
    """The same with a port of the host for each, those that want any taken from `free`."""
    ports = (p if p.host_port else replace(p, host_port=next(free)) for p in asked.ports)
    return replace(asked, ports=tuple(ports))


def resolv_conf(
    asked: RunNetwork, host: str, servers_of_network: Iterable[str] = ()
) -> tuple[str, str]:
    """The container's resolv.conf, given the host's; and the host's server to ask instead.

    A network with a name has its own servers, which ask those that the container wants.

    A server on the host's loopback is not the container's to reach: in a private network the
    network's own stands for the first of them, an IPv4 one, as questions stay within a family.
    One on the link behind an interface of the host's is on no link of the container's.
    """
    if asked.mode is Mode.NONE and not (asked.dns or asked.dns_search or asked.dns_options):
        return "", ""
    servers, search, options = _read(host)
    asks = ""
    if asked.mode is Mode.BRIDGE:
        places = {one: ipaddress.ip_address(one.partition("%")[0]) for one in servers}
        near = [one for one in servers if places[one].is_loopback and places[one].version == 4]
        far = [one for one in servers if not (places[one].is_loopback or places[one].is_link_local)]
        servers = [*([uplink.NAME_SERVER] if near else []), *far]
        asks = near[0] if near and not asked.dns else ""
    servers = list(servers_of_network) or list(asked.dns) or servers
    search = [one for one in (asked.dns_search or search) if one != "."]
    options = list(asked.dns_options) or options
    lines = [f"nameserver {one}" for one in servers]
    lines += [f"search {' '.join(search)}"] if search else []
    lines += [f"options {' '.join(options)}"] if options else []
    return "".join(f"{line}\n" for line in lines), asks


def _read(text: str) -> tuple[list[str], list[str], list[str]]:
    """Servers, domains and options of a resolv.conf; what is no address is left out."""
    servers: list[str] = []
    search: list[str] = []
    options: list[str] = []
    for line in text.splitlines():
        word, *rest = line.split() or [""]
        if word == "nameserver" and rest and _is_address(rest[0]):
            servers.append(rest[0])
        elif word in {"search", "domain"}:
            search = rest
        elif word == "options":
            options += rest
    return servers, search, options


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return True
