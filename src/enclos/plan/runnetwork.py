"""docker's flags about networks: which one, what is published, who is known by name. PURE."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Final

from enclos.errors import InvalidRequest
from enclos.plan import attachments, publishing
from enclos.plan.attachments import Attachment
from enclos.plan.flagtext import bad, check_text
from enclos.structs import dataclass
from enclos.wire.control import PublishedPort

HOST_GATEWAY: Final = "host-gateway"
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
    ports = [port for text in options.publish for port in publishing.read(text)]
    if options.publish_all:
        ports += publishing.exposed(exposed, ports)
    publishing.check(ports)
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
