from __future__ import annotations

from typing import Any

import pytest

from enclos.errors import InvalidRequest
from enclos.plan import runnetwork
from enclos.plan.attachments import Attachment
from enclos.plan.runnetwork import Mode, NetworkOptions, RunNetwork
from enclos.wire.control import PublishedPort


def asked(default: str = "none", exposed: tuple[str, ...] = (), **flags: Any) -> RunNetwork:
    return runnetwork.network(NetworkOptions(**flags), default=default, exposed=exposed)


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("80", PublishedPort("tcp", "", 0, 80)),
        ("8080:80", PublishedPort("tcp", "", 8080, 80)),
        ("8080:80/udp", PublishedPort("udp", "", 8080, 80)),
        ("127.0.0.1:8080:80", PublishedPort("tcp", "127.0.0.1", 8080, 80)),
        ("127.0.0.1::80", PublishedPort("tcp", "127.0.0.1", 0, 80)),
        ("[::1]:8080:80", PublishedPort("tcp", "::1", 8080, 80)),
        ("8000-8009:80-89", PublishedPort("tcp", "", 8000, 80, 10)),
    ],
)
def test_published(text: str, port: PublishedPort) -> None:
    found = asked(publish=(text,))
    assert found.ports == (port,)
    assert found.mode is Mode.BRIDGE


def test_a_range_without_ports_of_the_host() -> None:
    found = asked(publish=("80-82",))
    assert [(port.host_port, port.port) for port in found.ports] == [(0, 80), (0, 81), (0, 82)]
    numbers = iter((1000, 1001, 1002))
    chosen = runnetwork.chosen(found, numbers)
    assert [port.host_port for port in chosen.ports] == [1000, 1001, 1002]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is no port"),
        ("x:80", "is no port"),
        ("0:80", "1 to 65535"),
        ("80:65536", "1 to 65535"),
        ("90-80", "1 to 65535"),
        ("80-81:80", "not of one length"),
        ("80/sctp", "not tcp or udp"),
        ("80/", "not tcp or udp"),
        ("host:80:80", "is no IP address"),
        ("1:2:3:4", "too many colons"),
        ("[::1:80:80", "in brackets"),
        ("٨:80", "is no port"),
        ("1-60000", "more than 1024"),
    ],
)
def test_no_port(text: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        asked(publish=(text,))


def test_one_port_of_the_host_leads_to_one_port() -> None:
    assert asked(publish=("127.0.0.1:80:80", "127.0.0.2:80:80", "80:90/udp")).ports
    with pytest.raises(InvalidRequest, match="port 80/tcp of the host is published for two"):
        asked(publish=("127.0.0.1:80:80", "127.0.0.2:80:81"))


def test_all_that_is_exposed_once() -> None:
    found = asked(publish_all=True, publish=("8080:80",), exposed=("80/tcp", "53/udp"))
    assert found.ports == (PublishedPort("tcp", "", 8080, 80), PublishedPort("udp", "", 0, 53))


@pytest.mark.parametrize(
    ("network", "mode", "other"),
    [
        ("none", Mode.NONE, ""),
        ("bridge", Mode.BRIDGE, ""),
        ("host", Mode.HOST, ""),
        ("container:web", Mode.CONTAINER, "web"),
        ("own", Mode.NETWORK, "own"),
    ],
)
def test_modes(network: str, mode: Mode, other: str) -> None:
    found = asked(networks=(network,))
    assert (found.mode, found.other) == (mode, other)
    assert found.joined == ((Attachment("own"),) if mode is Mode.NETWORK else ())


def test_in_a_network_with_a_name() -> None:
    mac = "02:00:00:00:00:01"
    found = asked(networks=("own",), publish=("80:80",), mac_address="02-00-00-00-00-01",
                  ip="10.1.2.3", ip6="FD00::1", aliases=("db",))  # fmt: skip
    assert found.joined == (Attachment("own", ("10.1.2.3", "fd00::1"), ("db",), mac),)
    assert found.ports[0].host_port == 80


def test_in_several_networks() -> None:
    text = "name=other,ip=10.2.0.9,ip6=FD00::2,alias=a,alias=b,mac-address=02:00:00:00:00:02"
    found = asked(networks=("own", text), aliases=("db",))
    assert found.joined == (
        Attachment("own", aliases=("db",)),
        Attachment("other", ("10.2.0.9", "fd00::2"), ("a", "b"), "02:00:00:00:00:02"),
    )
    assert asked(networks=("name=own",)).joined == (Attachment("own"),)


def test_links() -> None:
    found = asked(networks=("own",), links=("db", "web:front"))
    assert found.links == (("db", "db"), ("web", "front"))


@pytest.mark.parametrize(
    "name", ["", "none", "bridge", "network", "default", "-a", "a:b", "a" * 64]
)
def test_no_name_of_a_network(name: str) -> None:
    with pytest.raises(InvalidRequest, match="invalid network name"):
        runnetwork.check_name(name)


def test_the_default_is_a_setting() -> None:
    assert asked().mode is Mode.NONE
    assert asked(default="bridge").mode is Mode.BRIDGE
    assert asked(default="bridge", networks=("",)).mode is Mode.BRIDGE
    assert asked(default="bridge", networks=("none",)).mode is Mode.NONE


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"networks": ("container:",)}, "not found"),
        ({"networks": ("a/b",)}, "network 'a/b' not found"),
        ({"networks": ("bridge",), "ip": "10.0.2.9"}, "--ip and the network bridge"),
        ({"networks": ("host",), "aliases": ("a",)}, "--network-alias and the network host"),
        ({"networks": ("own",), "ip": "x"}, "no IP address"),
        ({"networks": ("own",), "aliases": ("a b",)}, "no name of a host"),
        (
            {"networks": ("none",), "publish": ("80",)},
            "ports are published and the network is none",
        ),
        (
            {"networks": ("host",), "publish_all": True},
            "ports are published and the network is host",
        ),
        ({"networks": ("container:x",), "dns": ("1.1.1.1",)}, "--dns and the network of another"),
        ({"networks": ("container:x",), "hostname": "x"}, "--hostname and the network of another"),
        (
            {"networks": ("host",), "mac_address": "02:00:00:00:00:01"},
            "--mac-address and the network",
        ),
        ({"networks": ("bridge",), "mac_address": "01:00:00:00:00:01"}, "no hardware address"),
        ({"networks": ("bridge",), "mac_address": "x"}, "no hardware address"),
        ({"networks": ("own", "own")}, "network 'own' is specified multiple times"),
        ({"networks": ("own", "host")}, "conflicting options: the network host"),
        ({"networks": ("none", "own")}, "conflicting options: the network none"),
        ({"networks": ("name=host,ip=10.1.1.1",)}, "conflicting options: the network host"),
        ({"networks": ("own", "a/b")}, "network 'a/b' not found"),
        ({"networks": ("name=own,ip=x",)}, "no IP address"),
        ({"networks": ("name=own,colour=red",)}, "'colour=red' is nothing it can say"),
        ({"networks": ("ip=10.1.1.1",)}, "there is no name"),
        ({"networks": ("name=own,alias=a b",)}, "no name of a host"),
        ({"networks": ("name=own,ip=10.1.1.1",), "ip": "10.1.1.2"}, "say the same"),
        ({"networks": ("name=own,ip=10.1.1.1,ip=10.1.1.2",)}, "ip is there 2 times"),
        ({"networks": ("name=own,name=side",)}, "name is there 2 times"),
        ({"networks": ("name=own,ip6=10.1.1.1",)}, "no address of IPv6"),
        ({"networks": ("own",), "ip": "fd00::1"}, "no address of IPv4"),
        ({"networks": ("own",), "links": (":x",)}, "not CONTAINER or CONTAINER:ALIAS"),
        ({"networks": ("own",), "links": ("a:b c",)}, "not CONTAINER or CONTAINER:ALIAS"),
        ({"networks": ("bridge",), "links": ("a",)}, "--link and the network bridge"),
        ({"dns": ("one.one",)}, "no IP address"),
        ({"add_host": ("x",)}, "not NAME:ADDRESS"),
        ({"add_host": ("a b:1.1.1.1",)}, "not NAME:ADDRESS"),
        ({"add_host": ("x:y",)}, "no IP address"),
    ],
)
def test_refused(flags: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        asked(**flags)


def test_hosts() -> None:
    found = asked(add_host=("a:192.0.2.1", "b:::1", "c=[::1]", "d:host-gateway"))
    assert found.hosts == (
        ("192.0.2.1", "a"), ("::1", "b"), ("::1", "c"), ("host-gateway", "d")
    )  # fmt: skip
