"""Messages of rtnetlink: what is kept of them, and whose interfaces they name."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from enclos.wire import rtnetlink
from enclos.wire.rtnetlink import attribute, attributes, entry, word

HEAD = struct.pack("=BBBBBBBBI", 2, 0, 0, 0, 254, 3, 0, 1, 0)


def hop(index: int, gateway: bytes) -> bytes:
    rest = attribute(5, gateway)
    return struct.pack("=HBBi", 8 + len(rest), 0, 0, index) + rest


def test_times_are_not_kept() -> None:
    body = HEAD + word(4, 7) + attribute(12, bytes(32))
    assert entry("route", body) == entry("route", HEAD + word(4, 7) + attribute(12, b"\1" * 32))


def test_a_route_of_many_hops_names_all_their_interfaces() -> None:
    hops = hop(5, bytes((10, 0, 0, 1))) + hop(6, bytes((10, 1, 0, 1)))
    found = entry("route", HEAD + attribute(9, hops))
    assert found.indexes == (5, 6)
    moved = rtnetlink.reindexed("route", found.body, {5: 15, 6: 16}.__getitem__)
    assert entry("route", moved).indexes == (15, 16)
    assert rtnetlink.reindexed("route", moved, lambda index: index - 10) == found.body


def test_a_link_is_set_up_as_it_is_read() -> None:
    body = rtnetlink.set_link(4, name="eth9", mac="02:00:00:00:00:09", mtu=1400, up=True)
    found = rtnetlink.link(body)
    assert (found.index, found.name, found.mac, found.mtu, found.up) == (
        4, "eth9", "02:00:00:00:00:09", 1400, True,
    )  # fmt: skip


@given(st.lists(st.tuples(st.integers(0, 0x3FFF), st.binary(max_size=40)), max_size=8))
def test_attributes_there_and_back(pairs: list[tuple[int, bytes]]) -> None:
    data = b"".join(attribute(kind, value) for kind, value in pairs)
    assert list(attributes(data)) == pairs


@given(st.binary(max_size=200))
def test_any_bytes_are_read_to_an_end(data: bytes) -> None:
    for kind, value in attributes(data):
        assert 0 <= kind <= 0x3FFF
        assert len(value) < len(data)
