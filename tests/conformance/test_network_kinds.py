"""Interfaces of other kinds, and limited ones, with our container and with one of runc."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.conformance.conftest import Side
from tests.conformance.members import GROUPS, PYTHON, Running, multicast, running
from tests.support import bridges, bundles, netns
from tests.support.bridges import Bridge, Member
from tests.support.netns import Netns

pytestmark = [pytest.mark.timeout(900), pytest.mark.nightly]
RATE: Final = 8_000_000
"""In bits a second, of the limits below."""
CALL: Final = """
import socket, sys
to, size = sys.argv[1], int(sys.argv[2])
with socket.create_connection((to, 5201), timeout=60) as call:
    if size:
        call.sendall(bytes(size))
        call.shutdown(socket.SHUT_WR)
    while call.recv(1 << 16):
        pass
"""


@pytest.fixture(scope="module")
def stacked(sides: dict[str, Side], bridge: Bridge) -> Iterator[dict[str, Running]]:
    """One of each with an interface of macvlan's, all above one that is cabled to the bridge."""
    with ExitStack() as stack:
        host = stack.enter_context(netns.new())
        netns.cable(host, "up0", bridge.host, "macport")
        bridge.host.run("ip", "link", "set", "macport", "master", "br0")
        made: dict[str, Running] = {}
        for name, side in sides.items():
            member = Member(bridge, stack.enter_context(netns.new()))
            number = next(bridge.numbers)
            member.ip["eth0"], member.ip6["eth0"] = (
                f"{bridges.NETWORK}.{number}",
                f"{bridges.NETWORK6}:{number}",
            )
            host.run("ip", "link", "add", "eth0", "link", "up0", "netns", member.netns.path,
                     "type", "macvlan", "mode", "bridge")  # fmt: skip
            member.netns.script(f"""
                ip link set eth0 up
                ip address add {member.ip["eth0"]}/24 dev eth0
                ip -6 address add {member.ip6["eth0"]}/64 dev eth0 nodad
            """)
            stack.enter_context(_as_before(member))
            made[name] = stack.enter_context(running(side, member))
        yield made


@contextmanager
def _as_before(member: Member) -> Iterator[None]:
    """What was changed of an interface is changed back."""
    look = ("ip", "-d", "link", "show", "eth0")
    before = member.netns.run(*look)
    yield
    assert member.netns.run(*look) == before


def test_interfaces_of_macvlan(stacked: dict[str, Running], bridge: Bridge) -> None:
    """Each other, and who is outside, by both protocols."""
    outside = bridge.member()
    for name, other in (("enclos", "runc"), ("runc", "enclos")):
        for protocol in ("ip", "ip6"):
            address = getattr(stacked[name].member, protocol)["eth0"]
            ping = f"ping -c 1 -W 10 {address}"
            assert "1 packets received" in stacked[other].ok(ping)
            assert "1 packets received" in outside.netns.run(str(bundles.busybox()), *ping.split())


@pytest.mark.parametrize("group", GROUPS)
def test_multicast_by_macvlan(stacked: dict[str, Running], bridge: Bridge, group: str) -> None:
    """Whose interfaces hand on groups that somebody joined, and no others."""
    multicast(stacked, bridge.member(), group)


@pytest.fixture(scope="module")
def limited(sides: dict[str, Side], bridge: Bridge) -> Iterator[dict[str, Running]]:
    """One of each that CNI's plugin limits, as it does for Kubernetes' annotations."""
    plugin = Path("/usr/lib/cni/bandwidth")
    if not plugin.exists():
        pytest.skip("no CNI plugins: apt-get install containernetworking-plugins")
    with ExitStack() as stack:
        made: dict[str, Running] = {}
        for name, side in sides.items():
            member = bridge.member()
            _shaped(plugin, name, bridge, member)
            made[name] = stack.enter_context(running(side, member))
        yield made


def _shaped(plugin: Path, name: str, bridge: Bridge, member: Member) -> None:
    """Call the plugin for a member that has just been connected."""
    port = member.ports["eth0"]
    inside = {"name": "eth0", "sandbox": member.netns.path}
    config = {
        "cniVersion": "0.4.0", "name": "test", "type": "bandwidth",
        "ingressRate": RATE, "ingressBurst": RATE // 10,
        "egressRate": RATE, "egressBurst": RATE // 10,
        "prevResult": {"cniVersion": "0.4.0", "interfaces": [{"name": port}, inside], "ips": []},
    }  # fmt: skip
    environment = {
        "CNI_COMMAND": "ADD", "CNI_CONTAINERID": name, "CNI_IFNAME": "eth0",
        "CNI_NETNS": member.netns.path, "CNI_PATH": str(plugin.parent), "PATH": os.environ["PATH"],
    }  # fmt: skip
    done = subprocess.run(
        ["nsenter", f"--net={bridge.host.path}", plugin],
        input=json.dumps(config), env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("way", ["in", "out"])
def test_bandwidth_is_limited(limited: dict[str, Running], bridge: Bridge, way: str) -> None:
    """By the queues that are on the host's side, as much as that of runc."""
    rates = {name: _rate(one, bridge.host, way) for name, one in limited.items()}
    assert all(0.5 * RATE < rate < 1.3 * RATE for rate in rates.values()), rates


def test_a_queue_of_others(sides: dict[str, Side], bridge: Bridge) -> None:
    """One that is on the interface in the container's namespace limits the guest, and stays."""
    found: dict[str, float] = {}
    for name, side in sides.items():
        member = bridge.member()
        member.netns.run(
            *f"tc qdisc add dev eth0 root tbf rate {RATE} burst 100k latency 1s".split()
        )
        before = member.netns.run("tc", "qdisc")
        with running(side, member) as one:
            found[name] = _rate(one, bridge.host, "out")
        assert member.netns.run("tc", "qdisc") == before
    assert all(0.5 * RATE < rate < 1.3 * RATE for rate in found.values()), found


def _rate(one: Running, host: Netns, way: str) -> float:
    """Bits a second between the host and the container, of what a burst does not hold."""
    size = RATE // 8 * 2
    with host.entered():
        door = socket.create_server(("", 5201))
    with door, ThreadPoolExecutor(1) as pool:
        door.settimeout(60)
        timed = pool.submit(_timed, door, size if way == "in" else 0)
        one.ok(f"{PYTHON} '{CALL}' {bridges.NETWORK}.1 {size if way == 'out' else 0}")
        return (size - RATE // 80) * 8 / timed.result()


def _timed(door: socket.socket, size: int) -> float:
    """Take one call, send so many bytes or receive all: how long that took, until it was there."""
    call, _ = door.accept()
    with call:
        call.settimeout(60)
        start = time.monotonic()
        if size:
            call.sendall(bytes(size))
            call.shutdown(socket.SHUT_WR)
        while call.recv(1 << 16):
            pass
        return time.monotonic() - start
