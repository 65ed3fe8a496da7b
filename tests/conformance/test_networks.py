"""Namespaces that somebody has filled, as our container and one of runc find them.

Both sides get the same namespace one after the other, or one each on the same bridge; ours are
containers of one warm sandbox.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

import pytest

from tests.conformance.conftest import Side
from tests.conformance.members import (
    GROUPS,
    PYTHON,
    Running,
    multicast,
    running,
    same,
    within,
)
from tests.conformance.rows import at, together
from tests.support import bridges, bundles, waiting
from tests.support.bridges import Bridge
from tests.support.netns import Netns

pytestmark = pytest.mark.timeout(900)
TOOLS: Final = ("iptables-nft", "iptables-legacy", "nft")
ORIGINAL: Final = """
import socket, struct
door = socket.create_server(("::", 15001), family=socket.AF_INET6, dualstack_ipv6=True)
print("ready", flush=True)
while True:
    call, (caller, *_) = door.accept()
    level, size = (0, 16) if caller.startswith("::ffff:") else (41, 28)
    try:
        raw = call.getsockopt(level, 80, size)
        port = struct.unpack_from("!H", raw, 2)[0]
        where = socket.inet_ntop(*((2, raw[4:8]) if level == 0 else (10, raw[8:24])))
        call.sendall(f"sidecar for {where} {port}\\n".encode())
    except OSError as error:
        call.sendall(f"sidecar: {error}\\n".encode())
    call.close()
"""


@pytest.fixture(scope="module")
def pair(sides: dict[str, Side], bridge: Bridge) -> Iterator[dict[str, Running]]:
    """One of each on the bridge."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(running(side, bridge.member()))
            for name, side in sides.items()
        }


@pytest.mark.parametrize("group", [GROUPS[0], pytest.param(GROUPS[1], marks=pytest.mark.nightly)])
def test_multicast_on_a_bridge(pair: dict[str, Running], bridge: Bridge, group: str) -> None:
    """Each hears a group and is heard by it: the other, itself, and who is outside."""
    multicast(pair, bridge.member(), group)


def _rules(tool: str) -> str:
    """Istio's: what leads to a port 80 or arrives at port 81 goes to the sidecar, but its own."""
    if tool == "nft":
        return """
            nft add table ip mesh
            nft add chain ip mesh out "{ type nat hook output priority -100; }"
            nft add chain ip mesh in "{ type nat hook prerouting priority -100; }"
            nft add rule ip mesh out meta skuid 1337 return
            nft add rule ip mesh out tcp dport 80 redirect to :15001
            nft add rule ip mesh in tcp dport 81 redirect to :15001
        """
    to = f"{tool} -t nat -A MESH -p tcp --dport"
    return f"""
        {tool} -t nat -N MESH
        {tool} -t nat -A MESH -m owner --uid-owner 1337 -j RETURN
        {to} 80 -m comment --comment out -j REDIRECT --to-ports 15001
        {tool} -t nat -A OUTPUT -p tcp -j MESH
        {tool} -t nat -A PREROUTING -p tcp --dport 81 -j REDIRECT --to-ports 15001
    """


def _flush(tool: str) -> str:
    if tool == "nft":
        return "nft delete table ip mesh"
    return f"{tool} -t nat -F; {tool} -t nat -X MESH"


@pytest.fixture(scope="module")
def sidecars(pair: dict[str, Running]) -> dict[str, Running]:
    """The pair with a server at port 15001 that says where its callers wanted to go."""
    for one in pair.values():
        one.ok(f"({PYTHON} '{ORIGINAL}' >/tmp/up 2>&1 &); "
               "for i in $(seq 300); do grep -q . /tmp/up && break; sleep 0.1; done; "
               "grep -q ready /tmp/up || { cat /tmp/up >&2; exit 1; }")  # fmt: skip
    return pair


@pytest.mark.parametrize(
    "tool", [TOOLS[0], *(pytest.param(one, marks=pytest.mark.nightly) for one in TOOLS[1:])]
)
def test_redirect_rules(sidecars: dict[str, Running], bridge: Bridge, tool: str) -> None:
    """As a service mesh sets them up within the container; the sidecar's own calls go through."""
    found: dict[str, list[str]] = {}
    outside = bridge.member().netns
    with _answering(bridge.host, 80, b"beyond\n"):
        for name, one in sidecars.items():
            own = one.member.ip["eth0"]
            call = f"busybox nc -w 20 {bridges.NETWORK}.1 80 </dev/null"
            setup = (
                f"export PATH=/usr/sbin:$PATH XTABLES_LOCKFILE=/tmp/lock; set -e; {_rules(tool)}"
            )
            one.ok(setup)
            dial = f"{bundles.busybox()} nc -w 20 {own} 81 </dev/null"
            found[name] = [
                one.ok(call),
                one.ok(f"{PYTHON} 'import os; os.setuid(1337); os.system(\"{call}\")'"),
                outside.run("sh", "-c", dial).replace(own, "it"),
            ]
            one.ok(f"export PATH=/usr/sbin:$PATH XTABLES_LOCKFILE=/tmp/lock; {_flush(tool)}")
            assert one.ok(call) == "beyond\n"
    assert found["enclos"] == found["runc"]
    assert found["runc"] == [
        f"sidecar for {bridges.NETWORK}.1 80\n", "beyond\n", "sidecar for it 81\n",
    ]  # fmt: skip


@pytest.mark.nightly
@pytest.mark.parametrize("tool", ["ip6tables-nft", "ip6tables-legacy"])
def test_redirect_rules_of_ipv6(sidecars: dict[str, Running], tool: str) -> None:
    """The same for what leaves by IPv6."""
    found: dict[str, str] = {}
    where = f"{bridges.NETWORK6}:1"
    rule = f"{tool} -t nat {{}} OUTPUT -p tcp --dport 80 -j REDIRECT --to-ports 15001"
    for name, one in sidecars.items():
        setup = "export PATH=/usr/sbin:$PATH XTABLES_LOCKFILE=/tmp/lock; "
        one.ok(setup + rule.format("-A"))
        found[name] = one.ok(f"busybox nc -w 20 {where} 80 </dev/null")
        one.ok(setup + rule.format("-D"))
    assert found["enclos"] == found["runc"] == f"sidecar for {where} 80\n"


@contextmanager
def _answering(netns: Netns, port: int, words: bytes) -> Iterator[None]:
    """A server in a namespace that says the same to everybody."""
    with netns.entered():
        door = socket.create_server(("", port))

    def serve() -> None:
        while True:
            try:
                call, _ = door.accept()
            except OSError:
                return
            with call:
                call.sendall(words)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        door.shutdown(socket.SHUT_RDWR)
        door.close()
        thread.join()


PING: Final = """
import socket, sys
asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
asking.settimeout(10)
asking.sendto(bytes((8, 0, 0xf7, 0xfe, 0, 0, 0, 1)), (sys.argv[1], 0))
print("answered" if asking.recv(99)[:2] == bytes(2) else "what?")
"""
LOOK: Final = "ip -4 address show eth0; ip -6 address show eth0; ip route; ip -6 route"


def test_ipv6_only(sides: dict[str, Side], bridge: Bridge) -> None:
    member = bridge.member(addresses=False)
    address = f"{bridges.NETWORK6}:6666"
    member.netns.script(f"""
        ip -6 address add {address}/64 dev eth0 nodad
        ip -6 route add default via {bridges.NETWORK6}:1
    """)
    member.settle()
    found = same(sides, member, f"{LOOK}; ping -c 1 -W 10 {bridges.NETWORK6}:1 | grep -c ' 0% '")
    assert f"inet6 {address}/64" in found
    assert "inet " not in found
    assert found.endswith("\n1\n")


def test_a_namespace_without_ipv6(sides: dict[str, Side], bridge: Bridge) -> None:
    """The guest's interfaces have none either."""
    member = bridge.member(addresses=False)
    member.netns.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")  # as docker 20.10 does
    member.netns.run("ip", "address", "add", f"{bridges.NETWORK}.166/24", "dev", "eth0")
    ping = f"ping -c 1 -W 10 {bridges.NETWORK}.1 | grep -c ' 0% '"
    found = same(
        sides,
        member,
        f"{LOOK}; ip address show lo; cat /proc/sys/net/ipv6/conf/eth0/disable_ipv6; {ping}",
    )
    assert "inet6" not in found
    assert found.endswith("\n1\n1\n")


@pytest.mark.nightly
def test_duplicate_addresses(sides: dict[str, Side], bridge: Bridge) -> None:
    """The same address twice in a namespace, and on two members of one bridge."""
    other, member = bridge.member(), bridge.member(addresses=False)
    member.connect("eth1", addresses=False)
    member.netns.script(f"""
        ip address add {other.ip["eth0"]}/24 dev eth0
        ip address add {other.ip["eth0"]}/24 dev eth1
        ip address add {bridges.NETWORK}.167/24 dev eth1
    """)
    look = "ip -4 address show eth0; ip -4 address show eth1; ip route | grep -c eth"
    found = same(sides, member, look)
    assert found.count(f"inet {other.ip['eth0']}/24") == 2


@pytest.mark.nightly
def test_an_address_that_was_found_to_be_anothers(sides: dict[str, Side], bridge: Bridge) -> None:
    """The kernel lets nobody use it: runc's container sees it marked, ours does not have it."""
    other, member = bridge.member(), bridge.member(addresses=False)
    address = f"{other.ip6['eth0']}/64"
    member.netns.run("ip", "-6", "address", "add", address, "dev", "eth0")

    def settled() -> bool:
        shown = member.netns.run("ip", "-6", "address", "show", "dev", "eth0")
        return "fe80" in shown and shown.count("dadfailed") == shown.count("tentative") == 1

    waiting.until(settled)
    usable = "ip -6 address show eth0 | grep -v 'tentative\\|valid_lft'"
    assert other.ip6["eth0"] in sides["runc"].run("ip -6 address show eth0", within(member)).out
    assert other.ip6["eth0"] not in same(sides, member, usable)


def test_an_interface_that_asks_nobody(sides: dict[str, Side], bridge: Bridge) -> None:
    """NOARP, as an interface of ipvlan in its mode l3 is."""
    member = bridge.member()
    member.netns.run("ip", "link", "set", "eth0", "arp", "off")
    assert "NOARP" in same(sides, member, "ip link show eth0")


@pytest.mark.nightly
def test_settings_of_the_kernels_network(sides: dict[str, Side], bridge: Bridge) -> None:
    """Those of the specification, which are the container's and nobody else's."""
    member = bridge.member()
    chosen = {
        "net.ipv4.ip_forward": "1", "net.core.somaxconn": "77", "net.ipv4.tcp_syncookies": "0",
        "net.ipv4.conf.eth0.rp_filter": "2", "net.ipv4.ip_unprivileged_port_start": "0",
        "net.ipv4.ping_group_range": "0 2147483647",
    }  # fmt: skip
    paths = " ".join(f"/proc/sys/{name.replace('.', '/')}" for name in chosen)
    found = same(sides, member, f"cat {paths}", at("linux.sysctl", chosen))
    assert found.replace("\t", " ").splitlines() == list(chosen.values())


@pytest.mark.nightly
@pytest.mark.parametrize("groups", ["0 2147483647", "1 0"])
def test_ping_as_a_user(sides: dict[str, Side], bridge: Bridge, groups: str) -> None:
    """By the socket that the kernel gives to groups, or not; no capability helps."""
    user = together(
        at("linux.sysctl", {"net.ipv4.ping_group_range": groups}),
        at("process.user", {"uid": 1000, "gid": 1000}),
        at("process.capabilities", {}),
    )
    script = f"{PYTHON} '{PING}' {bridges.NETWORK}.1 2>&1 | tail -1"
    wanted = "answered\n" if groups[0] == "0" else "PermissionError: [Errno 13] Permission denied\n"
    assert same(sides, bridge.member(), script, user) == wanted
