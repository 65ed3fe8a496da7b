"""Networks with names by the real netavark, in a namespace of the test that stands for the host."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from enclos.errors import Exists, HostUnfit, MachineFailed, NotFound
from enclos.linux import namespaces, process
from enclos.network import endpoints
from enclos.network.endpoints import Taken
from enclos.plan.bridging import Membership, NamedNetwork
from enclos.plan.subnets import Subnet
from enclos.state import networks
from enclos.state.ledger import Ledger
from enclos.state.networks import Networks
from enclos.state.store import StateRoot
from enclos.tools import netavark
from enclos.wire.control import PublishedPort
from tests.support import bundles, netns, waiting
from tests.support.netns import Netns

OWN = NamedNetwork(
    "ab" * 32, "own", "2026-01-01T00:00:00Z",
    (Subnet("10.64.3.0/24", "10.64.3.1"), Subnet("fd64:3::/64", "fd64:3::1")),
)  # fmt: skip
LOOKS = ("ip -d link", "ip address", "ip route show table all", "nft -s list ruleset")
OTHER = replace(OWN, id="cd" * 32, name="other", subnets=(Subnet("10.64.4.0/24", "10.64.4.1"),))
KIND = "place"


@dataclass
class Place:
    """The host, a network, and who is in it."""

    host: Netns
    networks: Networks
    held: Ledger
    stack: ExitStack
    taken: list[Taken] = field(default_factory=list[Taken])

    def take(self, name: str, asked: Membership | None = None) -> Taken:
        asked = asked or Membership(OWN.name, name)
        with self.host.entered():
            made = endpoints.take(self.networks, self.held, name * 12, asked, kind=KIND)
        self.taken.append(made)
        return made

    def connect(self, taken: Taken) -> Netns:
        with self.host.entered():
            made = endpoints.connected([taken])
        self.stack.callback(os.close, made)
        return Netns(made)

    def release(self, taken: Taken) -> None:
        with self.host.entered():
            endpoints.release(taken.fields)

    def looks(self) -> dict[str, str]:
        return {words: self.host.run(*words.split(), check=False) for words in LOOKS}


@pytest.fixture(scope="module")
def host() -> Iterator[Netns]:
    with netns.new() as made:
        yield made


@pytest.fixture
def place(host: Netns, tmp_path: Path) -> Iterator[Place]:
    known = Networks(tmp_path / "data", StateRoot(tmp_path / "state"))
    with networks.locked(known):
        networks.add(known, OWN)
    with ExitStack() as stack:
        found = Place(host, known, Ledger(tmp_path / "ledger"), stack)
        yield found
        for taken in found.taken:
            found.release(taken)
        assert networks.members(known, OWN.id) == []


def warm(place: Place) -> dict[str, str]:
    """The host as it is once netavark's own chains are there, which it shares among networks."""
    first = place.take("w")
    place.connect(first)
    place.release(first)
    return place.looks()


def test_members_reach_each_other_by_address_and_name(place: Place) -> None:
    before = warm(place)
    one, two = place.take("a"), place.take("b", Membership(OWN.name, "b", ("store",)))
    first, second = place.connect(one), place.connect(two)
    assert one.endpoint.addresses == ("10.64.3.2", "fd64:3::2")
    assert "10.64.3.3/24" in second.run("ip", "address", "show", "eth0")
    with second.entered():
        answer = socket.create_server(("", 7000), family=socket.AF_INET6, dualstack_ipv6=True)
    with answer:
        for address in two.endpoint.addresses:
            assert dial(first, address) == "hello"
    for name in ("b", "store", "b" * 12):
        said = first.run(str(bundles.busybox()), "nslookup", name, OWN.subnets[0].gateway)
        assert set(two.endpoint.addresses) <= set(said.split())
    place.release(one)
    assert OWN.bridge in place.looks()["ip -d link"]
    place.release(two)
    assert place.looks() == before


def test_networks_are_kept_apart(place: Place) -> None:
    before = warm(place)
    with networks.locked(place.networks):
        networks.add(place.networks, OTHER)
    one, two = place.take("a"), place.take("b", Membership(OTHER.name, "b"))
    first, second = place.connect(one), place.connect(two)
    with second.entered():
        answer = socket.create_server(("", 7000))
    with answer:
        assert dial(place.host, two.endpoint.addresses[0]) == "hello"
        assert not dial(first, two.endpoint.addresses[0], tries=1)
    place.release(one)
    place.release(two)
    assert place.looks() == before


def test_one_in_two_networks(place: Place) -> None:
    before = warm(place)
    with networks.locked(place.networks):
        networks.add(place.networks, OTHER)
    first = place.take("a")
    inside = place.connect(first)
    second = place.take("a", Membership(OTHER.name, "a"))
    with place.host.entered():
        endpoints.connect(second, inside.descriptor)
    other = place.connect(place.take("b", Membership(OTHER.name, "b", ("store",))))
    assert "10.64.4.2/24" in inside.run("ip", "address", "show", "eth1")
    defaults = [line for line in inside.run("ip", "route").splitlines() if "default" in line]
    assert ["eth0" in line for line in sorted(defaults)] == [True, False]
    server = OWN.subnets[0].gateway
    assert "10.64.4.3" in inside.run(str(bundles.busybox()), "nslookup", "store", server)
    with other.entered():
        answer = socket.create_server(("", 7000))
    with answer:
        assert dial(inside, "10.64.4.3") == "hello"
        place.release(first)
        assert "eth0" not in inside.run("ip", "address")
        assert dial(inside, "10.64.4.3") == "hello"
    again = place.take("a")
    assert again.endpoint.interface == "eth0"
    with place.host.entered():
        endpoints.connect(again, inside.descriptor)
        endpoints.give_back(again)
        endpoints.give_back(second)
    assert "eth" not in inside.run("ip", "address")
    assert [entry.fields["network"] for entry in place.held.entries()].count(OTHER.id) == 1
    place.release(place.taken[-2])
    assert place.looks() == before


def dial(caller: Netns, address: str, *, tries: int = 50) -> str:
    """Connect, once the address has been tried out by the kernel."""
    for _ in range(tries):
        with caller.entered():
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            door = socket.socket(family)
        with door:
            try:
                door.settimeout(5)
                door.connect((address, 7000))
            except OSError:
                time.sleep(0.1)
                continue
            return "hello"
    return ""


def test_released_when_the_namespace_has_gone(place: Place) -> None:
    before = warm(place)
    ports = (PublishedPort("tcp", "", 8080, 80), PublishedPort("udp", "127.0.0.1", 53, 53))
    with ExitStack() as short:
        place.stack = short
        made = place.take("a", Membership(OWN.name, "a", ports=ports))
        place.connect(made)
    assert place.looks() != before
    with place.host.entered():
        assert [entry.kind for entry in place.held.replay({KIND: endpoints.release})] == [
            KIND,
            KIND,
        ]
    assert place.looks() == before


def test_released_from_another_namespace(place: Place) -> None:
    """`sweep` need not be called where the container was started."""
    before = warm(place)
    made = place.take("a")
    place.connect(made)
    pid = os.fork()
    if pid == 0:  # somebody lives there
        with place.host.entered():
            time.sleep(60)
        os._exit(0)
    try:
        there = namespaces.identity_of(Path(place.host.path))
        waiting.until(lambda: namespaces.identity("network", pid) == there)
        endpoints.release(made.fields)
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    assert place.looks() == before


def test_twice_and_never_connected(place: Place) -> None:
    before = warm(place)
    made = place.take("a")
    place.release(made)
    place.release(made)
    assert place.looks() == before


def test_what_is_in_the_way_is_told(place: Place) -> None:
    """A bridge's name that something else has; what was begun is taken back."""
    place.host.run("ip", "link", "add", OWN.bridge, "type", "veth")
    try:
        made = place.take("a")
        with pytest.raises(MachineFailed, match="netavark cannot setup the network"):
            place.connect(made)
    finally:
        place.host.run("ip", "link", "delete", OWN.bridge)
    place.release(made)
    assert networks.members(place.networks, OWN.id) == []


def test_addresses_are_nobody_elses(place: Place) -> None:
    place.take("a", Membership(OWN.name, "a", addresses=("10.64.3.9",)))
    with pytest.raises(Exists, match=r"10\.64\.3\.9 is already in use"):
        place.take("b", Membership(OWN.name, "b", addresses=("10.64.3.9",)))
    with pytest.raises(NotFound, match="network 'nowhere' not found"):
        place.take("c", Membership("nowhere", "c"))


def test_a_missing_program_is_named(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netavark, "_PLACES", ("/nowhere",))
    with pytest.raises(HostUnfit, match="program netavark is not installed") as raised:
        place.take("a")
    assert raised.value.hint == "run: apt-get install netavark"


def test_a_missing_firewall_is_named(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    made = place.take("a")
    called = netavark.find()
    with monkeypatch.context() as patched:
        patched.setattr(netavark, "_is_there", lambda _: False)
        with pytest.raises(HostUnfit, match="neither iptables nor nft"):
            netavark.find()
        patched.setattr(process, "_DIRECTORIES", ())
        patched.setenv("PATH", "/nowhere")
        with pytest.raises(HostUnfit, match="netavark needs iptables and nft") as raised:
            place.connect(made)
    assert "apt-get install" in raised.value.hint
    assert netavark.find() == called


def test_who_has_left_meanwhile_is_not_connected(place: Place) -> None:
    """A supervisor may end between the taking and the connecting, which a command does."""
    taken = place.take("a")
    before = place.looks()
    place.release(taken)
    with pytest.raises(MachineFailed, match="has left its network: it has ended meanwhile"):
        place.connect(taken)
    assert not networks.members(place.networks, OWN.id)
    assert place.looks() == before
