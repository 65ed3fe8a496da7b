"""A network namespace that an engine has filled: the guest has what is in it, and its packets.

What a container of runc sees of the same namespace is what is expected in the guest.
"""

from __future__ import annotations

import array
import fcntl
import hashlib
import os
import re
import socket
import struct
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from enclos.plan.network import MOST_INTERFACES
from enclos.wire import places
from tests.support import bridges, bundles, netns, waiting
from tests.support.bridges import Bridge, Member
from tests.support.cli import Programs
from tests.support.commands import Answer

pytestmark = pytest.mark.timeout(900)
_SIOCETHTOOL: Final = 0x8946
_OFFLOADS: Final = ((0x1E, 0x1F), (0x23, 0x24), (0x16, 0x17))
"""TSO, GSO and checksums of what is sent, in an order in which the kernel takes them away."""


@dataclass(frozen=True)
class Container:
    """A container of `enclos-oci` in a member's namespace."""

    programs: Programs
    id: str
    member: Member
    directory: Path

    def sh(self, script: str) -> Answer:
        """Run a shell script in it."""
        return self.programs.oci("exec", self.id, "sh", "-c", script)

    def ok(self, script: str) -> str:
        """The same, which must succeed."""
        answer = self.sh(script)
        assert answer.code == 0, (script, answer.out, answer.err)
        return answer.out


@pytest.fixture(scope="module")
def peer(bridge: Bridge) -> Member:
    """A namespace on the bridge in which the test runs programs, as runc's containers do."""
    return bridge.member()


@pytest.fixture(scope="module")
def container(
    programs: Programs, bridge: Bridge, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Container]:
    member = bridge.member()
    member.netns.script(f"""
        ip route add 10.200.0.0/16 via {bridges.NETWORK}.1 metric 50
        ip route add 10.201.0.0/16 dev eth0 table 77
        ip rule add from {member.ip["eth0"]} table 77 priority 1000
        ip neigh add {bridges.NETWORK}.99 lladdr 02:00:00:00:00:99 dev eth0 nud permanent
        ip address add 10.88.0.1/32 dev lo
    """)
    made = Container(programs, f"net-{os.getpid()}", member, tmp_path_factory.mktemp("net"))
    _create(made)
    answer = programs.oci("start", made.id)
    assert answer.code == 0, answer.err
    yield made
    programs.oci("delete", "--force", made.id)


def _create(made: Container, *, cpus: int = 0) -> None:
    """`enclos-oci create` in the member's namespace."""
    done, said = _creating(made, cpus=cpus)
    assert done == 0, said


def _creating(made: Container, *, cpus: int = 0) -> tuple[int, str]:
    """The same, which may fail: its status and what it said."""

    def change(spec: dict[str, Any]) -> None:
        for namespace in spec["linux"]["namespaces"]:
            if namespace["type"] == "network":
                namespace["path"] = made.member.netns.path
        if cpus:
            spec["linux"]["resources"]["cpu"] = {"quota": cpus * 100_000, "period": 100_000}
        spec["process"]["capabilities"] = {
            kind: ["CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_KILL"]
            for kind in ("bounding", "effective", "permitted")
        }

    bundle = bundles.make(made.directory / "bundle", "sleep", "10000", change=change)
    with (made.directory / "out").open("wb") as out:
        done = subprocess.run(
            made.programs.oci_command("create", "--bundle", bundle, made.id),
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=made.programs.environment,
            timeout=300,
        )  # fmt: skip
    return done.returncode, (made.directory / "out").read_text()


@pytest.mark.parametrize(
    "words",
    [
        "ip -4 address show eth0", "ip -6 address show eth0", "ip address show lo",
        "ip link show eth0", "ip route", "ip -6 route", "ip route show table 77", "ip rule",
    ],
)  # fmt: skip
def test_the_guest_has_what_the_namespace_has(container: Container, words: str) -> None:
    busybox = bundles.busybox()
    container.member.settle()
    expected = container.member.netns.run(str(busybox), *words.split())
    assert _comparable(container.ok(words)) == _comparable(expected)


def test_the_first_interface_is_of_the_machines_start(container: Container) -> None:
    assert places.SPARE_PATH in container.ok("readlink -f /sys/class/net/eth0")


def test_permanent_neighbours(container: Container) -> None:
    assert "02:00:00:00:00:99" in container.ok("ip neigh")


def _comparable(listing: str) -> list[str]:
    """Without interfaces' numbers and peers, queues, flags and states of the carrier."""
    plain = re.sub(r"(?m)^\d+: |@\w+|<[\w,-]*>| (qdisc|qlen) .*", "", listing)
    return sorted(line.strip() for line in plain.splitlines() if "enclos" not in line)


@pytest.mark.parametrize("protocol", ["ip", "ip6"])
def test_ping_both_ways(container: Container, peer: Member, protocol: str) -> None:
    mine, theirs = getattr(container.member, protocol)["eth0"], getattr(peer, protocol)["eth0"]
    assert "1 packets received" in container.ok(f"ping -c 1 -W 10 {theirs}")
    assert "1 packets received" in peer.netns.run(
        str(bundles.busybox()), "ping", "-c", "1", "-W", "10", mine
    )


def test_a_stream_each_way(container: Container, peer: Member) -> None:
    busybox = str(bundles.busybox())
    inside = f"nsenter --net={peer.netns.path}"
    listen = f"echo from outside | timeout 100 {inside} {busybox} nc -l -p 7000 >/dev/null"
    with subprocess.Popen(["sh", "-c", listen]):
        said = container.ok(f"sleep 1; echo hello | nc -w 10 {peer.ip['eth0']} 7000")
    assert said == "from outside\n"
    container.ok("(echo from inside | nc -l -p 7001 >/tmp/heard) >/dev/null 2>&1 & sleep 1")
    script = f"echo hi | {busybox} nc -w 10 {container.member.ip['eth0']} 7001"
    assert peer.netns.run("sh", "-c", script) == "from inside\n"
    assert container.ok("sleep 1; cat /tmp/heard") == "hi\n"


def _ethtool(member: Member, command: int, value: int = 0) -> int:
    """A value of the interface's card, set or read (linux/ethtool.h)."""
    asked = array.array("I", (command, value))
    with member.netns.entered():
        door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with door:
        fcntl.ioctl(door, _SIOCETHTOOL, struct.pack("16sP16x", b"eth0", asked.buffer_info()[0]))
    return asked[1]


def _all_of(server: socket.socket) -> bytes:
    server.settimeout(100)
    call, _ = server.accept()
    with call:
        return b"".join(iter(lambda: call.recv(1 << 16), b""))


@pytest.mark.nightly
def test_offloads_that_the_interface_has_not(container: Container, peer: Member) -> None:
    """What the guest leaves to its card is done by the host's kernel before the interface."""
    lines, member = 300_000, container.member
    data = b"enclos\n" * lines
    for get, change in _OFFLOADS:
        _ethtool(member, change, 0)
        assert _ethtool(member, get) == 0
    try:
        with peer.netns.entered():
            server = socket.create_server(("", 7002))
        with server, ThreadPoolExecutor(1) as pool:
            heard = pool.submit(_all_of, server)
            container.ok(f"yes enclos | head -n {lines} | nc {peer.ip['eth0']} 7002")
            assert heard.result() == data
        container.ok("(nc -l -p 7003 | sha256sum >/tmp/sum) >/dev/null 2>&1 & sleep 1")
        with peer.netns.entered():
            call = socket.create_connection((member.ip["eth0"], 7003), timeout=100)
        with call:
            call.sendall(data)
        digest = hashlib.sha256(data).hexdigest()
        waiting.until(lambda: digest in container.ok("cat /tmp/sum"))
    finally:
        for _, change in _OFFLOADS:
            _ethtool(member, change, 1)


def test_an_interface_comes_and_goes(container: Container, peer: Member) -> None:
    container.member.connect("eth1")
    seen = container.ok("for i in $(seq 100); do ip address show eth1 2>/dev/null | grep -q inet6 "
                        "&& break; sleep 0.1; done; ip address show eth1")  # fmt: skip
    assert f"inet {container.member.ip['eth1']}/24" in seen
    assert "1 packets received" in peer.netns.run(
        str(bundles.busybox()), "ping", "-c", "1", "-W", "10", container.member.ip["eth1"]
    )
    container.member.disconnect("eth1")
    gone = container.ok("for i in $(seq 100); do ip link show eth1 >/dev/null 2>&1 || break; "
                        "sleep 0.1; done; ip link")  # fmt: skip
    assert "eth1" not in gone


def test_changes_are_followed(container: Container) -> None:
    container.member.netns.script("""
        ip link set eth0 mtu 1400
        ip address add 10.77.0.222/24 dev eth0
        ip route add 10.202.0.0/16 via 10.77.0.1
    """)
    container.ok("for i in $(seq 100); do ip route | grep -q 10.202 && break; sleep 0.1; done")
    assert "mtu 1400" in container.ok("ip link show eth0")
    assert "10.77.0.222/24" in container.ok("ip address show eth0")
    container.member.netns.script("""
        ip route del 10.202.0.0/16
        ip address del 10.77.0.222/24 dev eth0
        ip link set eth0 mtu 1500
    """)
    container.ok(
        "for i in $(seq 100); do ip link show eth0 | grep -q 'mtu 1500' && break; sleep 0.1; done"
    )
    assert "10.77.0.222" not in container.ok("ip address show eth0")
    assert "10.202" not in container.ok("ip route")


def test_addresses_are_good_at_once(container: Container) -> None:
    """The host's kernel has asked whether they are another's; the guest's need not, for seconds."""
    netns = container.member.netns
    netns.run("sysctl", "-qw", "net.ipv6.conf.eth0.accept_dad=0")
    loop = f"ip -6 address {{}} {bridges.NETWORK6}:a:$i/64 dev eth0"
    looks = "for i in $(seq 24); do ip -6 address show eth0; sleep 0.3; done"
    with ThreadPoolExecutor(1) as pool:
        look = pool.submit(container.ok, looks)
        netns.run("sh", "-c", f"for i in $(seq 60); do {loop.format('add')}; sleep 0.1; done")
    lines = [line.strip() for line in look.result().splitlines()]
    assert f"inet6 {bridges.NETWORK6}:a:40/64 scope global" in lines
    assert not [line for line in lines if "tentative" in line and lines.count(line) > 1]
    netns.run("sh", "-c", f"for i in $(seq 60); do {loop.format('del')}; done")
    netns.run("sysctl", "-qw", "net.ipv6.conf.eth0.accept_dad=1")


def test_two_hundred_routes(container: Container) -> None:
    loop = "for i in $(seq 200); do ip route {} 10.210.$i.0/24 via 10.77.0.1; done"
    container.member.netns.run("sh", "-c", loop.format("add"))
    count = "for i in $(seq 150); do n=$(ip route | grep -c 10.210.); [ $n = {} ] && break; "
    assert container.ok(count.format(200) + "sleep 0.2; done; echo $n") == "200\n"
    container.member.netns.run("sh", "-c", loop.format("del"))
    assert container.ok(count.format(0) + "sleep 0.2; done; echo $n") == "0\n"


@pytest.mark.parametrize(("mtu", "found"), [(68, 68), (65535, 65521)])
def test_the_smallest_and_the_largest_packets(container: Container, mtu: int, found: int) -> None:
    """A tap has room for 65,521 bytes and the hardware's addresses."""
    container.member.connect("eth1", addresses=False, mtu=mtu)
    container.member.netns.run("ip", "address", "add", "10.77.9.1/24", "dev", "eth1")
    wait = (
        f"for i in $(seq 100); do ip link show eth1 2>/dev/null | grep -q 'mtu {found} ' && break"
    )
    assert f"mtu {found} " in container.ok(f"{wait}; sleep 0.2; done; ip link show eth1")
    container.member.disconnect("eth1")
    _wait_for_interfaces(container, 1)


def _wait_for_interfaces(container: Container, number: int) -> None:
    """Until the guest has so many, the loopback apart."""
    count = "n=$(ip link | grep -c 'link/ether')"
    loop = f"for i in $(seq 300); do {count}; [ $n = {number} ] && break; sleep 0.2; done; echo $n"
    assert container.ok(loop) == f"{number}\n"


def test_as_many_interfaces_as_there_is_room_for(container: Container, peer: Member) -> None:
    """One too many is told of in the log, and the others work on."""
    names = [f"more{number}" for number in range(MOST_INTERFACES)]
    for name in names[1:]:
        container.member.connect(name)
    _wait_for_interfaces(container, MOST_INTERFACES)
    container.member.connect(names[0])
    log = container.programs.state_root / "sandboxes" / container.id / "supervisor.log"
    words = f"has {MOST_INTERFACES + 1} interfaces"
    waiting.until(lambda: words in log.read_text(), timeout_s=60)
    address = container.member.ip[names[-1]]
    container.ok(
        f"for i in $(seq 200); do ip address | grep -q {address}/ && break; sleep 0.2; done"
    )
    ping = (str(bundles.busybox()), "ping", "-c", "1", "-W", "20", container.member.ip["eth0"])
    assert "1 packets received" in peer.netns.run(*ping)
    assert f"inet {address}/24" in container.ok(f"ip address show {names[-1]}")
    for name in names:
        container.member.disconnect(name)
    _wait_for_interfaces(container, 1)


@pytest.fixture(scope="module")
def crowded(bridge: Bridge) -> Member:
    """A namespace with one interface more than a machine has room for."""
    member = bridge.member()
    for number in range(MOST_INTERFACES):
        member.connect(f"more{number}", addresses=False)
    return member


def test_one_interface_too_many_from_the_start(
    programs: Programs, crowded: Member, tmp_path: Path
) -> None:
    made = Container(programs, f"nine-{os.getpid()}", crowded, tmp_path)
    done, said = _creating(made)
    assert done != 0
    assert f"has {MOST_INTERFACES + 1} interfaces, a machine has room for {MOST_INTERFACES}" in said
    assert made.id not in programs.oci("list").out


@pytest.fixture(scope="module")
def wide(bridge: Bridge) -> Member:
    """A namespace for a machine of several processors."""
    return bridge.member()


@pytest.mark.nightly
def test_a_queue_for_each_processor(
    programs: Programs, wide: Member, peer: Member, tmp_path: Path
) -> None:
    """Of the interface that is there from the start, and of one that comes while it runs."""
    made = Container(programs, f"queues-{os.getpid()}", wide, tmp_path)
    _create(made, cpus=2)
    try:
        assert programs.oci("start", made.id).code == 0
        made.member.connect("eth1")
        _wait_for_interfaces(made, 2)
        for name in ("eth0", "eth1"):
            queues = made.ok(f"ls /sys/class/net/{name}/queues").split()
            assert sorted(queues) == ["rx-0", "rx-1", "tx-0", "tx-1"]
        assert "3 packets received" in made.ok(f"ping -c 3 -W 10 {peer.ip['eth0']}")
    finally:
        programs.oci("delete", "--force", made.id)


def test_a_link_that_goes_down_and_up_a_hundred_times(container: Container, peer: Member) -> None:
    flap = "for i in $(seq 100); do ip link set eth0 down; ip link set eth0 up; done"
    member = container.member
    member.netns.run("sh", "-c", flap)
    member.netns.script(f"""
        ip -6 address add {member.ip6["eth0"]}/64 dev eth0 nodad
        ip route add default via {bridges.NETWORK}.1
    """)
    container.ok("for i in $(seq 100); do ip route | grep -q default && break; sleep 0.1; done")
    ping = (str(bundles.busybox()), "ping", "-c", "2", "-W", "10", member.ip["eth0"])
    for _ in range(20):
        if "2 packets received" in peer.netns.run(*ping, check=False):
            break
    assert "2 packets received" in peer.netns.run(*ping)
    assert "2 packets transmitted, 2 packets received" in container.ok(
        f"ping -c 2 -W 10 {peer.ip['eth0']}"
    )


def test_the_namespace_loses_its_name(
    programs: Programs, bridge: Bridge, peer: Member, tmp_path: Path
) -> None:
    """Whoever is in it has it, and when all have gone nothing is left of it."""
    with netns.new() as place:
        member = Member(bridge, place)
        member.connect("eth0")
        port = (
            bridge.host.run("ip", "-o", "link").rstrip().splitlines()[-1].split()[1].split("@")[0]
        )
        made = Container(programs, f"nameless-{os.getpid()}", member, tmp_path)
        _create(made)
        assert programs.oci("start", made.id).code == 0
    try:
        assert "1 packets received" in made.ok(f"ping -c 1 -W 10 {peer.ip['eth0']}")
        ping = (str(bundles.busybox()), "ping", "-c", "1", "-W", "10", member.ip["eth0"])
        assert "1 packets received" in peer.netns.run(*ping)
    finally:
        assert programs.oci("delete", "--force", made.id).code == 0
    gone = lambda: port not in bridge.host.run("ip", "-o", "link")  # noqa: E731
    waiting.until(gone, timeout_s=20)
