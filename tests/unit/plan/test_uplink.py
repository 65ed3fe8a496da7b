from __future__ import annotations

import ipaddress

from enclos.plan import network, uplink
from enclos.wire import rtnetlink
from enclos.wire.control import PublishedPort, Uplink

PORTS = (
    PublishedPort("tcp", "", 8000, 80, 3),
    PublishedPort("tcp", "127.0.0.1", 80, 80),
    PublishedPort("udp", "::1", 53, 5353),
)


def test_what_the_guest_gets() -> None:
    found = uplink.wanted(Uplink(mac="02:00:00:00:00:07"), ipv6=True)
    (link,) = found.links
    assert (link.name, link.mac, link.up, link.ipv6) == ("eth0", "02:00:00:00:00:07", True, True)
    addresses = [
        str(ipaddress.ip_address(rtnetlink.address_bytes(entry)))
        for entry in found.entries
        if entry.kind == "address"
    ]
    assert addresses == ["10.0.2.15", "fe80::15", "fd65:6e63:6c6f::15"]
    routes = [entry for entry in found.entries if entry.kind == "route"]
    assert [rtnetlink.route_facts(route.body).default for route in routes] == [True, True]
    assert all(entry.indexes == (link.index,) for entry in found.entries)
    assert network.addresses_of(found) == ("10.0.2.15", "fd65:6e63:6c6f::15")


def test_without_ipv6() -> None:
    found = uplink.wanted(Uplink(), ipv6=False)
    assert {entry.family for entry in found.entries} == {rtnetlink.AF_INET}
    assert not found.links[0].ipv6
    assert "--ipv4-only" in uplink.options(Uplink(), ipv6=False)


def test_options() -> None:
    found = uplink.options(Uplink(ports=PORTS, name_server="127.0.0.53"), ipv6=True)
    assert [word for word in found if "-ports=" in word] == [
        "--tcp-ports=8000-8002:80-82", "--tcp-ports=127.0.0.1/80:80", "--udp-ports=::1/53:5353"
    ]  # fmt: skip
    assert {"--dns-forward=10.0.2.3", "--dns-host=127.0.0.53"} <= set(found)
    assert "--tcp-ports=none" in uplink.options(Uplink(), ipv6=True)


def test_ports_that_take_a_right() -> None:
    assert uplink.privileged(Uplink(ports=PORTS))
    assert not uplink.privileged(Uplink(ports=PORTS[:1]))


def test_a_way_out_by_ipv6_is_a_default_route() -> None:
    routes = uplink.wanted(Uplink(), ipv6=True).entries
    assert uplink.speaks_ipv6(network.Facts((), routes))
    only4 = uplink.wanted(Uplink(), ipv6=False).entries
    assert not uplink.speaks_ipv6(network.Facts((), only4))
