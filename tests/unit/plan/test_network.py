"""What a guest's network is to be: chosen and ordered, and what changes from look to look."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from enclos.errors import InvalidRequest
from enclos.plan.network import MOST_INTERFACES, NOTHING, Delta, Facts, delta, wanted
from enclos.wire import rtnetlink
from enclos.wire.rtnetlink import Entry, Link, attribute, entry, word

LO = Link(1, "lo", "", 772, 9, "00:00:00:00:00:00", 65536, 0, True, 1)
ETH = Link(2, "eth0", "veth", 1, 0x1043, "02:00:00:00:00:02", 1500, 0, True, 0)


def address(index: int, ip: bytes, *, flags: int = 0x80) -> Entry:
    family = 2 if len(ip) == 4 else 10
    head = struct.pack("=BBBBI", family, 24, flags & 0xFF, 0, index)
    body = head + attribute(1, ip) + attribute(2, ip) + word(8, flags) + attribute(6, bytes(16))
    return entry("address", body)


def route(index: int, *, gateway: bytes = b"", protocol: int = 3, table: int = 254) -> Entry:
    head = struct.pack("=BBBBBBBBI", 2, 0, 0, 0, table, protocol, 0, 1, 0)
    body = head + word(15, table) + word(4, index)
    return entry("route", body + (attribute(5, gateway) if gateway else b""))


def rule(*, by_kernel: bool) -> Entry:
    head = struct.pack("=BBBBBBBBI", 2, 0, 0, 0, 254, 0, 0, 1, 0)
    return entry("rule", head + attribute(21, bytes([2 if by_kernel else 3])))


def facts(*entries: Entry, links: tuple[Link, ...] = (LO, ETH)) -> Facts:
    return Facts(links, entries)


def test_every_ethernet_interface_is_wanted_but_ports_and_taps() -> None:
    port = replace(ETH, index=3, name="eth1", master=2)
    tap = replace(ETH, index=4, name="enclos0", kind="tun")
    tunnel = replace(ETH, index=5, name="tunl0", type=768)
    assert wanted(facts(links=(LO, ETH, port, tap, tunnel))).links == (ETH,)


def test_a_machine_has_room_for_so_many() -> None:
    many = [replace(ETH, index=n, name=f"eth{n}") for n in range(2, MOST_INTERFACES + 2)]
    assert len(wanted(facts(links=tuple(many))).links) == MOST_INTERFACES
    with pytest.raises(InvalidRequest, match=f"room for {MOST_INTERFACES}"):
        wanted(facts(links=(*many, replace(ETH, index=99))))


def test_what_the_guests_kernel_makes_by_itself_is_left_out() -> None:
    kept = address(2, bytes((10, 0, 0, 2)))
    found = wanted(
        facts(
            address(1, bytes((127, 0, 0, 1))),
            kept,
            route(2, protocol=rtnetlink.PROTOCOL_KERNEL),
            route(2, table=rtnetlink.TABLE_LOCAL),
            rule(by_kernel=True),
        )
    )
    assert found.entries == (kept,)


def test_an_address_on_the_loopback_is_kept() -> None:
    service = address(1, bytes((10, 96, 0, 10)))
    assert wanted(facts(service)).entries == (service,)


def test_learned_addresses_are_the_guests_to_learn() -> None:
    learned = address(2, bytes.fromhex("fd000000000000000000000000000005"), flags=0)
    listening = replace(ETH, accept_ra=1)
    assert wanted(facts(learned, links=(LO, listening))).entries == ()
    assert wanted(facts(learned)).entries == (learned,)


def test_gateways_come_after_the_routes_that_lead_to_them() -> None:
    by_gateway, direct = route(2, gateway=bytes((10, 0, 0, 1))), route(2)
    mine = address(2, bytes((10, 0, 0, 2)))
    assert wanted(facts(by_gateway, direct, mine)).entries == (mine, direct, by_gateway)


def test_nothing_changed_is_nothing_to_do() -> None:
    now = wanted(facts(address(2, bytes((10, 0, 0, 2)))))
    assert delta(now, now).empty
    assert delta(NOTHING, now) == Delta(plug=(ETH,), added=now.entries)


def test_an_interface_that_went_takes_its_entries_along() -> None:
    now = wanted(facts(address(2, bytes((10, 0, 0, 2)))))
    assert delta(now, NOTHING) == Delta(unplug=(ETH,))


def test_a_number_that_is_another_interface_now() -> None:
    mine = address(2, bytes((10, 0, 0, 2)))
    other = replace(ETH, kind="macvlan")
    found = delta(wanted(facts(mine)), wanted(facts(mine, links=(LO, other))))
    assert found == Delta(plug=(other,), unplug=(ETH,), added=(mine,))


def test_properties_and_entries_change() -> None:
    old, new = address(2, bytes((10, 0, 0, 2))), address(2, bytes((10, 0, 0, 3)))
    larger = replace(ETH, mtu=9000, flags=0x1003)
    found = delta(wanted(facts(old)), wanted(facts(new, links=(LO, larger))))
    assert found == Delta(changed=(larger,), removed=(old,), added=(new,))


def test_flags_of_the_carrier_are_nobodys_business() -> None:
    running = replace(ETH, flags=ETH.flags | 0x10000)
    assert delta(wanted(facts()), wanted(facts(links=(LO, running)))).empty


def test_what_does_not_ask_for_addresses_is_another_interface() -> None:
    silent = replace(ETH, flags=ETH.flags | rtnetlink.IFF_NOARP)
    found = delta(wanted(facts()), wanted(facts(links=(LO, silent))))
    assert found == Delta(changed=(silent,))
    assert (ETH.arp, silent.arp) == (True, False)


def test_a_loopback_without_ipv6_is_the_guests_as_well() -> None:
    without = wanted(facts(links=(replace(LO, ipv6=False), ETH)))
    assert not without.ipv6
    assert delta(NOTHING, without).switched
    assert delta(without, wanted(facts())) == Delta(switched=True)
    assert not delta(NOTHING, wanted(facts())).switched
