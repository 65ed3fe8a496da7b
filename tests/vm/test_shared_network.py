"""A network namespace that others live in: the host's, or another container's.

The host is a namespace of the test with an uplink; nothing there may change while a container is
in it, and its own listeners and connections go on working.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import bridges, bundles
from tests.support.bridges import Bridge, Member
from tests.support.cli import Programs
from tests.support.commands import Answer

pytestmark = pytest.mark.timeout(900)
LOOKS = (
    "ip -d address", "ip -d link", "ip route show table all", "ip -6 route show table all",
    "ip rule", "ip -6 rule", "nft list ruleset", "sysctl -a --pattern ^net",
)  # fmt: skip


@dataclass(frozen=True)
class Guest:
    """A container of `enclos-oci` run within a member's namespace, as its host's."""

    programs: Programs
    id: str
    host: Member

    def run(self, *words: str | Path) -> Answer:
        """Run `enclos-oci WORDS…` on that host."""
        inside = ["nsenter", f"--net={self.host.netns.path}"]
        return self.programs.run([*inside, *self.programs.oci_command(*words)])

    def ok(self, script: str) -> str:
        """Run a shell script in the container."""
        answer = self.run("exec", self.id, "sh", "-c", script)
        assert answer.code == 0, (script, answer.out, answer.err)
        return answer.out


@pytest.fixture(scope="module")
def before(host: Member) -> dict[str, str]:
    time.sleep(3)  # the kernel's own work on a fresh link is over
    return listing(host)


def listing(host: Member) -> dict[str, str]:
    """What is configured in the namespace, without what counts or elapses."""
    found = {words: host.netns.run(*words.split(), check=False) for words in LOOKS}
    assert found["ip rule"]
    return found


@pytest.fixture(scope="module")
def guest(
    programs: Programs,
    host: Member,
    before: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Guest]:
    made = Guest(programs, f"host-{os.getpid()}", host)
    with running(made, tmp_path_factory.mktemp("host"), joins=""):
        yield made
    assert listing(host) == before


@contextmanager
def running(made: Guest, directory: Path, *, joins: str) -> Iterator[None]:
    """The container, in its host's namespace or in the one at `joins`."""

    def change(spec: dict[str, Any]) -> None:
        kept = [one for one in spec["linux"]["namespaces"] if one["type"] != "network"]
        spec["linux"]["namespaces"] = kept + ([{"type": "network", "path": joins}] if joins else [])

    bundle = bundles.make(directory / "bundle", "sleep", "10000", change=change)
    inside = ["nsenter", f"--net={made.host.netns.path}"]
    command = [*inside, *made.programs.oci_command("create", "--bundle", bundle, made.id)]
    with (directory / "out").open("wb") as out:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            env=made.programs.environment, timeout=300,
        )  # fmt: skip
    assert done.returncode == 0, (directory / "out").read_text()
    try:
        answer = made.run("start", made.id)
        assert answer.code == 0, answer.err
        yield
    finally:
        made.run("delete", "--force", made.id)


def test_nothing_of_the_host_changes(guest: Guest, host: Member, before: dict[str, str]) -> None:
    assert listing(host) == before


def test_the_guest_has_the_hosts_address(guest: Guest, host: Member) -> None:
    addresses = guest.ok("ip address show eth0")
    assert f"inet {host.ip['eth0']}/24" in addresses
    assert f"inet6 {host.ip6['eth0']}/64" in addresses
    assert "mtu 65520" in addresses
    assert f"default via {bridges.NETWORK}.1 dev eth0" in guest.ok("ip route")


@pytest.mark.parametrize("protocol", ["ip", "ip6"])
def test_the_guest_reaches_what_the_host_reaches(
    guest: Guest, bridge: Bridge, host: Member, protocol: str
) -> None:
    address = bridges.NETWORK + ".1" if protocol == "ip" else bridges.NETWORK6 + ":1"
    busybox = bundles.busybox()
    inside = f"nsenter --net={bridge.host.path}"
    script = f"echo from outside | timeout 100 {inside} {busybox} nc -l -p 7100 >/dev/null"
    with subprocess.Popen(["sh", "-c", script]):
        assert guest.ok(f"sleep 1; echo x | nc -w 10 {address} 7100") == "from outside\n"


@pytest.mark.parametrize("place", ["127.0.0.1", "its address", "from outside"])
def test_ports_of_the_guest_are_the_hosts(
    guest: Guest, bridge: Bridge, host: Member, place: str
) -> None:
    guest.ok("(echo from inside | nc -l -p 7200 >/tmp/heard) >/dev/null 2>&1 &")
    netns = bridge.host if place == "from outside" else host.netns
    address = "127.0.0.1" if place == "127.0.0.1" else host.ip["eth0"]
    script = f"""for i in $(seq 100); do
        sleep 3 | {bundles.busybox()} nc -w 20 {address} 7200 && break; sleep 0.1
    done"""
    assert netns.run("sh", "-c", script) == "from inside\n"
    assert "7200" not in _wait_closed(host)


def _wait_closed(host: Member) -> str:
    """Listeners of the host, once those of the guest that have gone are gone there, too."""
    for _ in range(100):
        listeners = host.netns.run("ss", "-Hltn")
        if "7200" not in listeners:
            return listeners
        time.sleep(0.1)
    return listeners


@pytest.mark.parametrize(
    ("place", "port"), [("127.0.0.1", 7300), ("::1", 7301), ("its address", 7302)]
)
def test_listeners_of_the_host_are_the_guests(
    guest: Guest, host: Member, place: str, port: int
) -> None:
    """They are reached, and their ports are taken."""
    address = host.ip["eth0"] if place == "its address" else place
    inside = f"nsenter --net={host.netns.path}"
    script = f"echo the host | timeout 100 {inside} {bundles.busybox()} nc -l -p {port} >/dev/null"
    with subprocess.Popen(["sh", "-c", script]):
        taken = guest.ok(f"sleep 3; timeout 5 nc -l -p {port} </dev/null 2>&1 || echo $?")
        assert "in use" in taken
        assert guest.ok(f"sleep 3 | nc -w 10 {address} {port}") == "the host\n"
    listen = f"timeout 1 nc -l -p {port} </dev/null >/dev/null 2>&1"
    free = f"for i in $(seq 50); do {listen}; [ $? = 1 ] || break; sleep 0.2; done; echo $i"
    assert int(guest.ok(free)) < 50


def test_a_namespace_of_another_container(programs: Programs, tmp_path: Path) -> None:
    """As `--net=container:X` of a container of another runtime: X keeps what it has."""
    with bridges.new() as bridge:
        other, host = bridge.member(), bridge.member()
        time.sleep(3)  # the kernel's own work on a fresh link is over
        with subprocess.Popen(["nsenter", f"--net={other.netns.path}", "sleep", "1000"]) as tenant:
            try:
                made = Guest(programs, f"other-{os.getpid()}", host)
                seen = listing(other)
                with running(made, tmp_path, joins=f"/proc/{tenant.pid}/ns/net"):
                    assert listing(other) == seen
                    _meet(made, other, bridge)
                    _kill_passt(made, bridge)
                assert listing(other) == seen
            finally:
                tenant.kill()


def _meet(made: Guest, other: Member, bridge: Bridge) -> None:
    """Who lives there is reached, and reaches the guest, and from outside both are."""
    busybox, address = bundles.busybox(), other.ip["eth0"]
    assert f"inet {address}/24" in made.ok("ip address")
    made.ok("(echo from inside | nc -l -p 7400 >/tmp/heard) >/dev/null 2>&1 &")
    script = f"""for i in $(seq 100); do
        sleep 3 | {busybox} nc -w 20 127.0.0.1 7400 && break; sleep 0.1
    done"""
    assert other.netns.run("sh", "-c", script) == "from inside\n"
    listen = f"nsenter --net={other.netns.path} {busybox} nc -l -p 7500 >/dev/null"
    with subprocess.Popen(["sh", "-c", f"echo X | timeout 60 {listen}"]):
        time.sleep(1)
        said = bridge.host.run(str(busybox), "nc", "-w", "10", address, "7500")
    assert said == "X\n"


def _kill_passt(made: Guest, bridge: Bridge) -> None:
    """It comes again, and with it the way out."""
    ledger = made.programs.state_root / "sandboxes" / made.id / "ledger"
    entries = [json.loads(path.read_text()) for path in sorted(ledger.iterdir())]
    (pid,) = [e["fields"]["pid"] for e in entries if e["fields"].get("name") == "passt"]
    os.kill(pid, 9)
    inside = f"nsenter --net={bridge.host.path}"
    script = f"echo outside | timeout 200 {inside} {bundles.busybox()} nc -l -p 7100 >/dev/null"
    call = f"sleep 2 | timeout 12 nc -w 9 {bridges.NETWORK}.1 7100"
    with subprocess.Popen(["sh", "-c", script]):
        assert made.ok(f"for i in $(seq 9); do {call} && break; sleep 1; done") == "outside\n"
