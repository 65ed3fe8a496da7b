"""The private network of a machine that reaches out by itself: addresses, passt's options. PURE.

There is one guest in it. What it sends becomes sockets in the namespace of whoever runs it, so
the addresses are the same in every machine and need no lease.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import Final

from enclos.plan.network import PASST_MTU, Facts, Wanted
from enclos.wire import rtnetlink
from enclos.wire.control import PublishedPort, Uplink
from enclos.wire.rtnetlink import ETHERNET, IFF_UP, Entry, Link

ADDRESS: Final = "10.0.2.15"
GATEWAY: Final = "10.0.2.2"
NAME_SERVER: Final = "10.0.2.3"
"""Asks the host's own server of names, where that listens on the host's loopback only."""
PREFIX: Final = 24
ADDRESS6: Final = "fd65:6e63:6c6f::15"
GATEWAY6: Final = "fd65:6e63:6c6f::2"
PREFIX6: Final = 64
_LINK_LOCAL: Final = "fe80::15"
MAC: Final = "02:65:6e:63:6c:01"
INTERFACE: Final = "eth0"
_INDEX: Final = 2
_PRIVILEGED: Final = 1024
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_MAIN, _BOOT, _UNICAST = 254, 3, 1
_SCOPE_LINK: Final = 253


def speaks_ipv6(facts: Facts) -> bool:
    """Whether the namespace has a way out by IPv6."""
    routes = (entry for entry in facts.entries if entry.kind == "route")
    return any(
        entry.family == rtnetlink.AF_INET6 and rtnetlink.route_facts(entry.body).default
        for entry in routes
    )


def wanted(uplink: Uplink, *, ipv6: bool) -> Wanted:
    """What the guest is to have."""
    mac = uplink.mac or MAC
    link = Link(_INDEX, INTERFACE, "", ETHERNET, IFF_UP, mac, PASST_MTU, 0, ipv6, 0)
    entries = [_address(ADDRESS, PREFIX)]
    if ipv6:
        entries += [_address(_LINK_LOCAL, PREFIX6, _SCOPE_LINK), _address(ADDRESS6, PREFIX6)]
    entries.append(_default_route(GATEWAY))
    if ipv6:
        entries.append(_default_route(GATEWAY6))
    return Wanted((link,), tuple(entries))


def _address(text: str, prefix: int, scope: int = 0) -> Entry:
    packed = ipaddress.ip_address(text).packed
    family = rtnetlink.AF_INET if len(packed) == 4 else rtnetlink.AF_INET6
    fixed = rtnetlink.KINDS["address"].fixed.pack(family, prefix, 0, scope, _INDEX)
    local = rtnetlink.attribute(_IFA_LOCAL, packed) if family == rtnetlink.AF_INET else b""
    body = fixed + local + rtnetlink.attribute(_IFA_ADDRESS, packed)
    return rtnetlink.entry("address", body)


def _default_route(gateway: str) -> Entry:
    packed = ipaddress.ip_address(gateway).packed
    family = rtnetlink.AF_INET if len(packed) == 4 else rtnetlink.AF_INET6
    fixed = rtnetlink.KINDS["route"].fixed.pack(family, 0, 0, 0, _MAIN, _BOOT, 0, _UNICAST, 0)
    by = rtnetlink.attribute(rtnetlink.RTA_GATEWAY, packed)
    oif = rtnetlink.attribute(rtnetlink.RTA_OIF, struct.pack("=i", _INDEX))
    return rtnetlink.entry("route", fixed + by + oif)


def options(uplink: Uplink, *, ipv6: bool) -> tuple[str, ...]:
    """passt's options for it."""
    families = (f"--address={ADDRESS6}", f"--gateway={GATEWAY6}") if ipv6 else ("--ipv4-only",)
    resolver = (
        (f"--dns-forward={NAME_SERVER}", f"--dns-host={uplink.name_server}")
        if uplink.name_server
        else ()
    )
    return (
        f"--address={ADDRESS}", f"--netmask={PREFIX}", f"--gateway={GATEWAY}",
        *families, *resolver, *_forwards("tcp", uplink.ports), *_forwards("udp", uplink.ports),
    )  # fmt: skip


def _forwards(protocol: str, ports: tuple[PublishedPort, ...]) -> tuple[str, ...]:
    chosen = [port for port in ports if port.protocol == protocol]
    if not chosen:
        return (f"--{protocol}-ports=none",)
    return tuple(f"--{protocol}-ports={_specification(port)}" for port in chosen)


def _specification(port: PublishedPort) -> str:
    where = f"{port.host_address}/" if port.host_address else ""
    return f"{where}{span(port.host_port, port.count)}:{span(port.port, port.count)}"


def span(first: int, count: int) -> str:
    """`count` ports from `first` on, as they are written."""
    return f"{first}-{first + count - 1}" if count > 1 else f"{first}"


def privileged(uplink: Uplink) -> bool:
    """Whether a port is one that the kernel keeps from ordinary users."""
    return any(port.host_port < _PRIVILEGED for port in uplink.ports)
