"""A container's resolv.conf, made from the host's and from what was asked for. PURE."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from enclos.plan import uplink
from enclos.plan.runnetwork import Mode, RunNetwork


def make(asked: RunNetwork, host: str, servers_of_network: Iterable[str] = ()) -> tuple[str, str]:
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
