"""Taps in real namespaces: packets go both ways, and nothing of others is touched."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from enclos.errors import HostUnfit, InvalidRequest
from enclos.linux import tun
from enclos.network import namespace as namespaces
from enclos.network import taps
from enclos.network.namespace import Namespace
from enclos.network.taps import Tap
from enclos.plan import network as planning
from enclos.state.ledger import Ledger
from enclos.wire.rtnetlink import Link
from tests.support import netns
from tests.support.netns import Netns

MAC = "02:00:00:00:00:07"
BROADCAST = bytes.fromhex("ffffffffffff" + "020000000009" + "88b5") + b"what the test says" * 4
VNET_HEADER = 12


@dataclass(frozen=True, slots=True)
class Place:
    """A container's namespace with eth0, cabled to another one."""

    container: Netns
    outside: Netns
    namespace: Namespace

    def link(self, name: str = "eth0") -> Link:
        found = namespaces.look(self.namespace).links
        return next(link for link in found if link.name == name)


@pytest.fixture
def place() -> Iterator[Place]:
    with ExitStack() as stack:
        container, outside = stack.enter_context(netns.new()), stack.enter_context(netns.new())
        netns.cable(container, "eth0", outside, "veth0")
        container.run("ip", "link", "set", "eth0", "address", MAC)
        copy = os.dup(container.descriptor)
        namespace = stack.enter_context(namespaces.opened(copy, container.path))
        yield Place(container, outside, namespace)


@pytest.fixture
def held(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger")


def received(descriptor: int) -> bytes:
    """The next frame of a tap that the test sent; others may come before it."""
    while select.select([descriptor], [], [], 5)[0]:
        frame = os.read(descriptor, 65536)[VNET_HEADER:]
        if b"what the test says" in frame:
            return frame
    return b""


def arrived(place: Place, tap: Tap, frame: bytes) -> bytes:
    """What comes to the tap of a frame that the other side sends."""
    with place.outside.entered():
        other = _packet_socket("veth0")
    with other:
        other.send(frame)
        return received(tap.descriptors[0])


def test_packets_go_both_ways(place: Place, held: Ledger) -> None:
    with taps.joined(place.namespace, place.link(), held, queues=1) as tap:
        (ours,) = tap.descriptors
        with place.outside.entered():
            other = _packet_socket("veth0")
        with other:
            other.send(BROADCAST)
            assert received(ours) == BROADCAST
            os.write(ours, bytes(VNET_HEADER) + BROADCAST)
            other.settimeout(5)
            assert _is_there(other)
    assert not held.entries()


def test_nothing_is_left(place: Place, held: Ledger) -> None:
    before = _listing(place.container)
    with taps.joined(place.namespace, place.link(), held, queues=2):
        assert _listing(place.container) != before
        assert [entry.kind for entry in held.entries()] == [taps.LEDGER_KIND]
    assert _listing(place.container) == before


@pytest.mark.parametrize("queues", [1, 2])
def test_one_that_was_there_before_its_namespace_comes_to_it(
    place: Place, held: Ledger, queues: int
) -> None:
    before = _listing(place.container)
    ready = taps.loose(queues=queues)
    assert len(ready.descriptors) == queues
    assert _listing(place.container) == before
    with taps.joined(place.namespace, place.link(), held, queues=queues, ready=ready) as tap:
        assert tap.descriptors == ready.descriptors
        with place.outside.entered():
            other = _packet_socket("veth0")
        with other:
            os.write(ready.descriptors[0], bytes(VNET_HEADER) + BROADCAST)
            other.settimeout(5)
            assert _is_there(other)
    assert _listing(place.container) == before
    ready.close()


def test_one_whose_name_is_taken_stays_away(place: Place, held: Ledger) -> None:
    place.container.run("ip", "link", "add", "enclos0", "type", "bridge")
    before = _listing(place.container)
    ready = taps.loose(queues=1)
    with (
        pytest.raises(FileExistsError),
        taps.joined(place.namespace, place.link(), held, queues=1, ready=ready),
    ):
        pass
    assert _listing(place.container) == before
    assert not held.entries()


def test_filters_of_others_stay(place: Place, held: Ledger) -> None:
    place.container.script("""
        tc qdisc add dev eth0 ingress
        tc filter add dev eth0 ingress prio 57344 u32 match u32 1 0xff classid 1:1
        tc filter add dev eth0 ingress prio 9 protocol ip u32 match u32 2 0xffffffff classid 1:1
    """)
    before = _listing(place.container)
    with taps.joined(place.namespace, place.link(), held, queues=1):
        assert _listing(place.container) != before
    assert _listing(place.container) == before


def test_every_group_is_heard_meanwhile(place: Place, held: Ledger) -> None:
    """A macvlan hands on those alone that somebody joined, and the guest's are not told to it."""
    place.container.script("""
        ip link add mac0 link eth0 type macvlan mode bridge
        ip link set mac0 up
    """)
    before = _listing(place.container)
    group = bytes.fromhex("01005e4d0007") + BROADCAST[6:]
    with taps.joined(place.namespace, place.link("mac0"), held, queues=1) as tap:
        assert "allmulti 1" in place.container.run("ip", "-d", "link", "show", "mac0")
        assert arrived(place, tap, group) == group
    assert _listing(place.container) == before
    assert "allmulti 0" in place.container.run("ip", "-d", "link", "show", "mac0")


def test_a_clsact_serves_as_well(place: Place, held: Ledger) -> None:
    place.container.run("tc", "qdisc", "add", "dev", "eth0", "clsact")
    before = _listing(place.container)
    with taps.joined(place.namespace, place.link(), held, queues=1) as tap:
        assert arrived(place, tap, BROADCAST) == BROADCAST
    assert _listing(place.container) == before


def test_what_a_killed_process_left_is_removed_by_the_ledger(place: Place, held: Ledger) -> None:
    before = _listing(place.container)
    child = os.fork()
    if child == 0:
        with taps.joined(place.namespace, place.link(), held, queues=1):
            os._exit(0)
    os.waitpid(child, 0)
    assert "u32" in _listing(place.container)
    held.replay({taps.LEDGER_KIND: taps.release})
    assert _listing(place.container) == before


def test_a_namespace_that_is_gone_needs_no_release(held: Ledger) -> None:
    with netns.new() as gone:
        status = os.fstat(gone.descriptor)
        held.record(
            taps.LEDGER_KIND, path=gone.path, device=status.st_dev, inode=status.st_ino,
            source=2, priority=57344, queue=1,
        )  # fmt: skip
    assert len(held.replay({taps.LEDGER_KIND: taps.release})) == 1


def test_a_missing_device_is_told(
    place: Place, held: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _listing(place.container)
    monkeypatch.setattr(tun, "DEVICE", "/dev/nothing")
    with (
        pytest.raises(HostUnfit, match="cannot open /dev/nothing") as caught,
        taps.joined(place.namespace, place.link(), held, queues=1),
    ):
        pass
    assert caught.value.hint == "load the kernel's module: modprobe tun"
    assert _listing(place.container) == before
    assert not held.entries()


def test_an_interface_that_goes_takes_everything_along(place: Place, held: Ledger) -> None:
    with taps.joined(place.namespace, place.link(), held, queues=1):
        place.container.run("ip", "link", "delete", "eth0")
    assert not held.entries()


def test_a_file_is_no_namespace(tmp_path: Path) -> None:
    file = os.open(tmp_path, os.O_RDONLY)
    with (
        pytest.raises(InvalidRequest, match="is no network namespace"),
        namespaces.opened(file, os.fspath(tmp_path)),
    ):
        pass


def test_what_is_there_is_seen(place: Place) -> None:
    place.container.script("""
        ip address add 10.1.2.3/24 dev eth0
        ip -6 address add fd00::3/64 dev eth0 nodad
        ip route add default via 10.1.2.1 metric 7
        ip route add 10.9.0.0/16 via 10.1.2.9
        ip rule add from 10.1.2.3 table 99 priority 1000
        ip neigh add 10.1.2.1 lladdr 02:00:00:00:00:01 dev eth0 nud permanent
    """)
    found = planning.wanted(namespaces.look(place.namespace))
    assert [(link.name, link.mac, link.mtu, link.up) for link in found.links] == [
        ("eth0", MAC, 1500, True)
    ]
    kinds = [entry.kind for entry in found.entries]
    assert kinds.count("route") == 2
    assert kinds.count("rule") == 1
    assert kinds.count("neighbour") == 1
    assert kinds.count("address") == 3  # with the link-local one


def _packet_socket(name: str):  # type: ignore[no-untyped-def]
    import socket

    found = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88B5))
    found.bind((name, 0x88B5))
    return found


def _is_there(other) -> bool:  # type: ignore[no-untyped-def]
    while True:
        frame = other.recv(65536)
        if frame == BROADCAST:
            return True


def _listing(place: Netns) -> str:
    links = place.run("ip", "-o", "link")
    return (
        place.run("tc", "qdisc")
        + place.run("tc", "filter", "show", "dev", "eth0", "ingress")
        + links
    )
