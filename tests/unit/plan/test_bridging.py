from __future__ import annotations

import json
from dataclasses import replace

import pytest

from enclos.errors import Exists
from enclos.plan import bridging
from enclos.plan.bridging import Endpoint, Membership, NamedNetwork
from enclos.plan.subnets import Subnet
from enclos.wire.control import PublishedPort

NETWORK = NamedNetwork(
    "ab" * 32, "own", "then", (Subnet("10.1.2.0/24", "10.1.2.1"), Subnet("fd00::/64", "fd00::1"))
)
OTHER = Endpoint("c" * 64, "web", NETWORK.id, ("10.1.2.2", "fd00::2"), "02:42:0a:01:02:02")


def test_the_bridge_has_a_name_that_the_kernel_takes() -> None:
    assert NETWORK.bridge == "enclos-abababab"
    assert len(NETWORK.bridge) <= 15


def test_a_place_in_it() -> None:
    asked = Membership("own", "db")
    found = bridging.endpoint(NETWORK, "d" * 64, asked, [OTHER])
    assert found == Endpoint(
        "d" * 64, "db", NETWORK.id, ("10.1.2.3", "fd00::3"), "02:42:0a:01:02:03"
    )
    mac = bridging.endpoint(NETWORK, "d" * 64, Membership("own", "db", mac="02:00:00:00:00:09"), [])
    assert mac.mac == "02:00:00:00:00:09"


def test_one_more_network_of_a_container() -> None:
    here = bridging.endpoint(NETWORK, "d" * 64, Membership("own", "db"), [])
    there = replace(NETWORK, id="cd" * 32, name="other")
    second = bridging.endpoint(there, "d" * 64, Membership("other", "db"), [here, OTHER])
    assert (second.interface, second.addresses) == ("eth1", ("10.1.2.2", "fd00::2"))
    told = json.loads(bridging.options(there, Membership("other", "db"), second))
    (info,) = told["network_info"].values()
    assert info["options"] == {"isolate": "true", "metric": "101"}
    again = bridging.endpoint(NETWORK, "d" * 64, Membership("own", "db"), [second])
    assert again.interface == "eth0"
    with pytest.raises(Exists, match="endpoint with name db already exists in network own"):
        bridging.endpoint(NETWORK, "d" * 64, Membership("own", "db"), [here])


@pytest.mark.parametrize(
    ("one", "other", "collide"),
    [
        (PublishedPort("tcp", "", 80, 1), PublishedPort("tcp", "", 80, 2), True),
        (PublishedPort("tcp", "", 80, 1), PublishedPort("udp", "", 80, 2), False),
        (PublishedPort("tcp", "", 80, 1, 3), PublishedPort("tcp", "", 82, 2), True),
        (PublishedPort("tcp", "", 80, 1, 3), PublishedPort("tcp", "", 83, 2), False),
        (PublishedPort("tcp", "::", 80, 1), PublishedPort("tcp", "10.0.0.1", 80, 2), True),
        (PublishedPort("tcp", "127.0.0.1", 80, 1), PublishedPort("tcp", "::1", 80, 2), False),
    ],
)
def test_a_port_is_published_once(
    one: PublishedPort, other: PublishedPort, *, collide: bool
) -> None:
    has = replace(OTHER, ports=(one,))
    bridging.check_ports((other,), [OTHER])
    if not collide:
        bridging.check_ports((other,), [has])
        return
    with pytest.raises(Exists, match="the port is already in use by container web"):
        bridging.check_ports((other,), [has])


def test_what_netavark_reads() -> None:
    port = PublishedPort("udp", "127.0.0.1", 8000, 80, 3)
    asked = Membership("own", "web", aliases=("store",), dns=("192.0.2.9",), ports=(port,))
    told = json.loads(bridging.options(NETWORK, asked, OTHER))
    (label,) = told["networks"]
    assert label != NETWORK.name  # podman may have one that is called so
    assert told["networks"][label] == {
        "static_ips": ["10.1.2.2", "fd00::2"],
        "static_mac": "02:42:0a:01:02:02",
        "aliases": ["cccccccccccc", "store"],
        "interface_name": "eth0",
    }
    assert told["network_info"][label]["network_interface"] == NETWORK.bridge
    assert told["network_info"][label]["ipv6_enabled"] is True
    assert told["network_info"][label]["options"] == {"isolate": "true"}
    assert told["port_mappings"] == [
        {"host_ip": "127.0.0.1", "host_port": 8000, "container_port": 80, "range": 3,
         "protocol": "udp"}
    ]  # fmt: skip
    assert (told["container_name"], told["dns_servers"]) == ("web", ["192.0.2.9"])
