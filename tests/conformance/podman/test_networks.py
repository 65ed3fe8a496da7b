"""podman's networks: the same commands with our runtime and with runc, the same answers.

The host is a namespace of the test with an uplink, so that nothing of the real one is touched.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import product
from typing import Final

import pytest

from tests.support import bridges, bundles
from tests.support.bridges import Member
from tests.support.netns import Netns
from tests.support.podman import IMAGE, Podman, wait_until

pytestmark = pytest.mark.timeout(1200)
NET: Final = "10.91.7"
SLEEP: Final = ("sleep", "10000")
ECHO: Final = (
    'import socket; s = socket.socket(2, 2); s.bind(("", 81)); '
    "[s.sendto(*one) for one in iter(lambda: s.recvfrom(99), 0)]"
)
"""A UDP server, for the python of the host."""
RUNTIMES: Final = ("enclos", "runc")


@dataclass(frozen=True)
class Yard:
    """Our host: podman there by runtime, a neighbour on the uplink, and a network of podman's."""

    host: Member
    outside: Netns
    by: dict[str, Podman]

    @property
    def address(self) -> str:
        """The host's."""
        return self.host.ip["eth0"]

    @contextmanager
    def running(self, runtime: str, *flags: str, script: str = "exec sleep 10000") -> Iterator[str]:
        """A container in the background, removed in the end."""
        podman = self.by[runtime]
        made = podman.ok("run", "-d", *flags, IMAGE, "sh", "-c", script)
        try:
            yield made
        finally:
            podman.run("rm", "--force", "--time=0", made)

    def sh(self, runtime: str, container: str, script: str) -> str:
        """What a script in a container prints; its failures are for the answer to show."""
        return self.by[runtime].run("exec", container, "sh", "-c", script).out

    def ip(self, container: str) -> str:
        """Its address."""
        format_ = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return self.by["runc"].ok("inspect", f"--format={format_}", container)


@pytest.fixture(scope="module")
def yard(podman: Podman) -> Iterator[Yard]:
    with bridges.new() as bridge:
        host = bridge.member()
        program = (
            "nsenter", f"--net={host.netns.path}",
            "podman", f"--network-config-dir={podman.directory / 'networks'}",
        )  # fmt: skip
        ours = replace(podman, program=program)
        yard = Yard(host, bridge.host, {one: replace(ours, runtime=one) for one in RUNTIMES})
        ours.ok("network", "create", f"--subnet={NET}.0/24", "yard")
        yield yard
        ours.run("rm", "--all", "--force", "--time=0")
        ours.ok("network", "rm", "--force", "yard")


def _echoed(netns: Netns, address: str, port: int) -> str:
    """What comes back by UDP within a while."""
    with netns.entered():
        caller = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with caller:
        caller.settimeout(2)
        for _ in range(20):
            caller.sendto(b"hello", (address, port))
            try:
                return caller.recv(99).decode()
            except (TimeoutError, ConnectionRefusedError):
                time.sleep(0.2)
    return ""


def _told(netns: Netns, address: str, port: int) -> str:
    """What a server says to somebody who waits for it; empty if it does not."""
    call = f"sleep 2 | {bundles.busybox()} nc -w 10 {address} {port}"
    done = subprocess.run(
        ["nsenter", f"--net={netns.path}", "sh", "-c", call],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.stdout


def _serves(port: int, words: str) -> str:
    """A shell loop that says `words` to everybody who comes."""
    return f"while :; do echo {words} | nc -l -p {port}; done >/dev/null 2>&1 & "


def test_published_ports(yard: Yard) -> None:
    servers = _serves(80, "tcp") + _serves(82, "loopback") + _serves(90, "first")
    servers += _serves(91, "second") + f"/usr/bin/python3 -ISc '{ECHO}' & "
    flags = (
        "-p=7080:80", "-p=7081:81/udp", "-p=127.0.0.1:7082:82", "-p=7090-7091:90-91",
        *(f"--volume=/{name}:/{name}:ro" for name in ("usr", "lib", "lib64")),
    )  # fmt: skip
    found = {one: _published(yard, one, flags, servers + "wait") for one in RUNTIMES}
    assert found["enclos"] == found["runc"]
    assert found["runc"]["outside"] == "tcp\n"
    assert found["runc"]["udp"] == "hello"
    assert found["runc"]["loopback only, from outside"] == ""


def _published(
    yard: Yard, runtime: str, flags: tuple[str, ...], servers: str
) -> dict[str, str | list[str]]:
    inside = yard.host.netns
    with yard.running(runtime, *flags, script=servers) as made:
        wait_until(lambda: _told(inside, "127.0.0.1", 7080) == "tcp\n")
        return {
            "outside": _told(yard.outside, yard.address, 7080),
            "udp": _echoed(yard.outside, yard.address, 7081),
            "loopback only": _told(inside, "127.0.0.1", 7082),
            "loopback only, from outside": _told(yard.outside, yard.address, 7082),
            "range": [_told(inside, yard.address, port) for port in (7090, 7091)],
            "hairpin": yard.sh(runtime, made, f"sleep 2 | nc -w 5 {yard.address} 7080"),
            "podman port": sorted(yard.by[runtime].ok("port", made).splitlines()),
        }


def test_containers_on_one_bridge(yard: Yard) -> None:
    """Ours, another of ours, and one of runc's: by address and by name, both ways.

    podman 5 grants no raw sockets, and only its own configuration lets anybody ping without.
    """
    with ExitStack() as stack:
        names = {"first": "enclos", "second": "enclos", "third": "runc"}
        ips: dict[str, str] = {}
        for name, runtime in names.items():
            flags = (f"--name={name}", "--network=yard", "--cap-add=net_raw")
            script = _serves(80, name) + "wait"
            ips[name] = yard.ip(stack.enter_context(yard.running(runtime, *flags, script=script)))
        for caller, runtime in names.items():
            for called in names.keys() - {caller}:
                talk = f"sleep 2 | nc -w 20 {ips[called]} 80; sleep 2 | nc -w 20 {called} 80"
                assert yard.sh(runtime, caller, talk) == f"{called}\n" * 2, (caller, called)
        ping = ("busybox", "ping", "-c", "2", "-w", "20", ips["first"])
        answer = yard.by["runc"].run("exec", "third", *ping)
        assert " 0% packet loss" in answer.out, answer.err


@pytest.mark.parametrize(
    ("joined", "joining"),
    [
        *(pair for pair in product(RUNTIMES, repeat=2) if "enclos" in pair),
        pytest.param("runc", "runc", marks=pytest.mark.nightly),
    ],
)
def test_joining_a_containers_network(yard: Yard, joined: str, joining: str) -> None:
    """X keeps what it has; both meet on the loopback, and Y has X's address."""
    with yard.running(joined, "--network=yard", script=_serves(80, "X") + "wait") as x:
        ip = yard.ip(x)
        wait_until(lambda: _told(yard.host.netns, ip, 80) == "X\n")
        script = _serves(81, "Y") + "wait"
        with yard.running(joining, f"--network=container:{x}", script=script) as y:
            assert f"inet {ip}/24" in yard.sh(joining, y, "busybox ip address")
            wait_until(lambda: _told(yard.host.netns, ip, 80) == "X\n")
            calls = (
                "for i in $(seq 20); do sleep 2 | nc -w 9 127.0.0.1 {} && break; sleep 0.5; done"
            )
            assert yard.sh(joining, y, calls.format(80)) == "X\n"
            assert yard.sh(joined, x, calls.format(81)) == "Y\n"
            wait_until(lambda: _told(yard.host.netns, ip, 81) == "Y\n")
        wait_until(lambda: _told(yard.host.netns, ip, 80) == "X\n")


def test_the_hosts_network(yard: Yard) -> None:
    """The guest reaches what the host reaches, and is reached where it listens."""
    busybox = bundles.busybox()
    listen = f"echo outside | timeout 200 {busybox} nc -l -p 7200 >/dev/null"
    with (
        subprocess.Popen(["nsenter", f"--net={yard.outside.path}", "sh", "-c", listen]),
        yard.running("enclos", "--network=host", script=_serves(7201, "inside") + "wait") as made,
    ):
        said = yard.sh("enclos", made, f"sleep 3 | nc -w 20 {bridges.NETWORK}.1 7200")
        assert said == "outside\n"
        wait_until(lambda: _told(yard.outside, yard.address, 7201) == "inside\n")
        wait_until(lambda: _told(yard.host.netns, "127.0.0.1", 7201) == "inside\n")


def test_a_namespace_of_slirp4netns(yard: Yard) -> None:
    """What rootless podman 4 has by default; root's podman has it when asked."""
    if shutil.which("slirp4netns") is None:
        pytest.skip("slirp4netns is missing: apt-get install slirp4netns")
    found = {one: _by_slirp4netns(yard, one) for one in RUNTIMES}
    assert found["enclos"] == found["runc"]
    assert found["runc"]["out"] == "outside\n"
    assert "default via 10.0.2.2 dev tap0" in found["runc"]["interface"]


def _by_slirp4netns(yard: Yard, runtime: str) -> dict[str, str]:
    inside = f"timeout 300 nsenter --net={yard.outside.path} {bundles.busybox()}"
    listen = f"echo outside | {inside} nc -l -p 7301 >/dev/null"
    flags = ("--network=slirp4netns:port_handler=slirp4netns", "-p=7300:80")
    look = "busybox ip address show tap0 | grep -o 'mtu [0-9]*\\|inet 1[0-9./]*'; busybox ip route"
    with (
        subprocess.Popen(["sh", "-c", listen]),
        yard.running(runtime, *flags, script=_serves(80, "inside") + "wait") as made,
    ):
        wait_until(lambda: _told(yard.outside, yard.address, 7300) == "inside\n")
        return {
            "interface": yard.sh(runtime, made, look),
            "resolv.conf": yard.sh(runtime, made, "cat /etc/resolv.conf"),
            "out": yard.sh(runtime, made, f"sleep 3 | nc -w 20 {bridges.NETWORK}.1 7301"),
        }


def test_a_pod_with_a_published_port(yard: Yard) -> None:
    podman = yard.by["enclos"]
    podman.ok("pod", "create", "--name=trio", "--network=yard", "-p=7180:80")
    try:
        for name, port in (("web", 80), ("back", 81)):
            server = _serves(port, name) + "wait"
            podman.ok("run", "-d", "--pod=trio", f"--name={name}", IMAGE, "sh", "-c", server)
        podman.ok("run", "-d", "--pod=trio", "--name=user", IMAGE, *SLEEP)
        for name, port in (("web", 80), ("back", 81)):
            assert yard.sh("enclos", "user", f"sleep 2 | nc -w 20 127.0.0.1 {port}") == f"{name}\n"
        assert _told(yard.outside, yard.address, 7180) == "web\n"
    finally:
        podman.run("pod", "rm", "--force", "--time=0", "trio")
