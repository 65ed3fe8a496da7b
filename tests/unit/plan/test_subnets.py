from __future__ import annotations

import ipaddress

import pytest

from enclos.errors import EnclosError, Exists, InvalidRequest
from enclos.plan import subnets
from enclos.plan.subnets import Subnet

ENTROPY = bytes.fromhex("0102030405")


def made(
    *asked: str, gateways: tuple[str, ...] = (), ipv6: bool = False, taken: tuple[str, ...] = ()
) -> list[tuple[str, str]]:
    found = subnets.subnets(
        asked, gateways, ipv6=ipv6, taken=map(ipaddress.ip_network, taken), entropy=ENTROPY
    )
    return [(one.subnet, one.gateway) for one in found]


def test_chosen_where_nobody_is() -> None:
    assert made() == [("10.65.0.0/24", "10.65.0.1")]
    assert made(taken=("10.65.0.0/23", "fd00::/8")) == [("10.65.2.0/24", "10.65.2.1")]
    with pytest.raises(InvalidRequest, match=r"every range in 10\.65\.0\.0/16 is in use"):
        made(taken=("10.0.0.0/8",))


def test_ipv6_is_chosen_by_chance() -> None:
    assert made(ipv6=True)[1] == ("fd01:203:405::/64", "fd01:203:405::1")


def test_as_asked_for() -> None:
    assert made("fd00:1::/64", "10.1.2.0/28", gateways=("10.1.2.14", "fd00:1::9")) == [
        ("10.1.2.0/28", "10.1.2.14"), ("fd00:1::/64", "fd00:1::9")
    ]  # fmt: skip
    assert made("10.1.2.0/30", ipv6=True)[0] == ("10.1.2.0/30", "10.1.2.1")
    assert made("fd00:1::/64")[0] == ("10.65.0.0/24", "10.65.0.1")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (("x",), "no range of addresses"),
        (("10.1.2.0",), "the range is 10.1.2.0/32"),
        (("10.1.2.3/24",), "the range is 10.1.2.0/24"),
        (("fd00::1/64",), "the range is fd00::/64"),
        (("10.1.2.0/33",), "no range of addresses"),
        (("10.1.2.0/31",), "no room"),
        (("fd00::/127",), "no room"),
        (("224.0.0.0/24",), "no interface"),
        (("127.0.0.0/24",), "no interface"),
        (("0.0.0.0/0",), "no interface"),
        (("10.1.0.0/24", "10.2.0.0/24"), "several subnets of IPv4"),
    ],
)
def test_bad_subnets(asked: tuple[str, ...], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        made(*asked)


@pytest.mark.parametrize("gateway", ["x", "10.1.3.1", "10.1.2.0", "10.1.2.255", "fd00::1"])
def test_bad_gateways(gateway: str) -> None:
    with pytest.raises(InvalidRequest, match="--gateway"):
        made("10.1.2.0/24", gateways=(gateway,))
    with pytest.raises(InvalidRequest, match="--gateway"):
        made("10.1.2.0/24", gateways=("10.1.2.1", "10.1.2.2"))


@pytest.mark.parametrize("taken", ["10.1.2.0/24", "10.0.0.0/8", "10.1.2.128/25"])
def test_overlapping(taken: str) -> None:
    with pytest.raises(Exists, match=f"overlaps with {taken}"):
        made("10.1.2.0/24", taken=(taken, "fd00::/8"))


BOTH = (Subnet("10.1.2.0/29", "10.1.2.1"), Subnet("fd00::/64", "fd00::1"))


def test_the_first_free_address() -> None:
    assert subnets.addresses(BOTH, (), ()) == ("10.1.2.2", "fd00::2")
    assert subnets.addresses(BOTH, (), ("10.1.2.2", "fd00::3")) == ("10.1.2.3", "fd00::2")
    assert subnets.addresses(BOTH, ("fd00::9",), ()) == ("10.1.2.2", "fd00::9")


@pytest.mark.parametrize(
    ("wanted", "kind", "words"),
    [
        ("10.1.3.1", InvalidRequest, "in none of the network's subnets"),
        ("10.1.2.0", InvalidRequest, "no container's"),
        ("10.1.2.7", InvalidRequest, "no container's"),
        ("10.1.2.1", Exists, "already in use"),
        ("10.1.2.5", Exists, "already in use"),
    ],
)
def test_no_such_address(wanted: str, kind: type[EnclosError], words: str) -> None:
    with pytest.raises(kind, match=words):
        subnets.addresses(BOTH, (wanted,), ("10.1.2.5",))


def test_a_full_subnet() -> None:
    used = [f"10.1.2.{number}" for number in range(2, 7)]
    with pytest.raises(Exists, match=r"every address of 10\.1\.2\.0/29"):
        subnets.addresses(BOTH, (), used)


def test_a_part_to_choose_in() -> None:
    found = subnets.subnets(
        ("10.1.0.0/16", "fd00::/64"), (), ipv6=True, taken=(), entropy=ENTROPY,
        ip_ranges=("fd00::100/120", "10.1.5.0/30"),
    )  # fmt: skip
    assert [one.ip_range for one in found] == ["10.1.5.0/30", "fd00::100/120"]
    assert subnets.addresses(found, (), ()) == ("10.1.5.0", "fd00::100")
    assert subnets.addresses(found, ("10.1.9.9",), ()) == ("10.1.9.9", "fd00::100")
    used = [f"10.1.5.{number}" for number in range(4)]
    with pytest.raises(Exists, match=r"every address of 10\.1\.5\.0/30"):
        subnets.addresses(found, (), used)
    (low, *_) = subnets.subnets(
        ("10.1.0.0/16",), (), ipv6=False, taken=(), entropy=ENTROPY, ip_ranges=("10.1.0.0/30",)
    )
    assert list(low.free()) == ["10.1.0.1", "10.1.0.2", "10.1.0.3"]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (("x",), "no range of addresses"),
        (("10.1.2.1/30",), "the range is 10.1.2.0/30"),
        (("10.9.0.0/24",), "no part of the network's subnets"),
        (("fd00::/64",), "no part of the network's subnets"),
        (("10.0.0.0/8",), "no part of the network's subnets"),
        (("10.1.2.0/30", "10.1.2.4/30"), "one of 10.1.2.0/24 already"),
        (("10.1.2.0/31",), "no address for a container"),
        (("10.1.2.255/32",), "no address for a container"),
    ],
)
def test_bad_parts(asked: tuple[str, ...], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        subnets.subnets(
            ("10.1.2.0/24",), (), ipv6=False, taken=(), entropy=ENTROPY, ip_ranges=asked
        )


def test_hardware_addresses() -> None:
    assert subnets.mac_of("10.1.2.3") == "02:42:0a:01:02:03"
    assert subnets.mac_of("fd00::1:2") == "02:42:00:01:00:02"
