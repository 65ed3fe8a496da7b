"""docker's networks with our runtime and with runc: a dockerd with a bridge, in a namespace."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.support import dockerd
from tests.support.bundles import busybox
from tests.support.cli import Programs
from tests.support.dockerd import IMAGE, Docker
from tests.support.netns import Netns
from tests.support.podman import wait_until

pytestmark = pytest.mark.timeout(1200)
SERVE: Final = "while :; do echo {} | nc -l -p 80; done >/dev/null 2>&1 & wait"
RUNTIMES: Final = ("enclos", "runc")
GATEWAY: Final = "172.27.0.1"


@pytest.fixture(scope="module")
def docker(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Docker]:
    """One with a bridge."""
    flags = ("--bip", f"{GATEWAY}/24", "--ip6tables=false")
    place = tmp_path_factory.mktemp("bridged")
    with dockerd.running(programs, place, kind="bridged", network=flags) as made:
        inside = ["nsenter", f"--net=/run/netns/{made.name}"]
        subprocess.run([*inside, "ip", "link", "set", "lo", "up"], check=True, timeout=30)
        yield made


@contextmanager
def running(docker: Docker, name: str, runtime: str, *flags: str) -> Iterator[None]:
    """A container that says its name to everybody who comes to port 80."""
    words = ("run", "-d", "--name", name, "--runtime", runtime, *flags, IMAGE)
    docker.ok(*words, "sh", "-c", SERVE.format(name))
    try:
        yield
    finally:
        docker("rm", "-f", name)


def _says(docker: Docker, container: str, host: str, *, seconds: int = 20, port: int = 80) -> str:
    """What somebody hears at a host's port in a container."""
    script = f"sleep 2 | timeout {seconds} nc -w 9 {host} {port}"
    return docker("exec", container, "sh", "-c", script).out


def _told(docker: Docker, address: str, port: int) -> str:
    """The same on docker's host."""
    call = f"sleep 2 | {busybox()} nc -w 9 {address} {port}"
    words = ["nsenter", f"--net=/run/netns/{docker.name}", "sh", "-c", call]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False).stdout


def test_bridge_ports_and_links(docker: Docker) -> None:
    """A published port answers; a link's name resolves, and its variables are runc's."""
    environment: dict[str, list[str]] = {}
    with running(docker, "web", "enclos", "-p", "8080:80", "-p", "127.0.0.1:8081:80"):
        wait_until(lambda: _told(docker, "127.0.0.1", 8080) == "web\n")
        assert _told(docker, GATEWAY, 8080) == "web\n"
        assert _told(docker, GATEWAY, 8081) == ""
        assert "0.0.0.0:8080" in docker.ok("port", "web", "80")
        for runtime in ("enclos", "runc"):
            with running(docker, "linked", runtime, "--link", "web:db"):
                assert _says(docker, "linked", "db") == "web\n"
                found = docker.ok("exec", "linked", "sh", "-c", "env | grep ^DB_ | sort")
                environment[runtime] = found.splitlines()
    assert environment["enclos"] == environment["runc"]
    assert environment["runc"]


@pytest.mark.nightly
def test_published_ports_as_runcs(docker: Docker) -> None:
    """Everywhere, one address of either family, a range, UDP, and from within by the host's."""
    flags = (
        "-p", "8090:80", "-p", "[::1]:8091:80", "-p", "127.0.0.1:8092:80", "-p", "8093-8094:80-81",
        "-p", "8095:82/udp",
    )  # fmt: skip
    found = {runtime: _published(docker, runtime, flags) for runtime in RUNTIMES}
    assert found["enclos"] == found["runc"]
    assert found["runc"]["reached"] == ["web\n"] * 6
    assert found["runc"]["udp"] == 3
    assert found["runc"]["not reached"] == [""] * 2


def _published(docker: Docker, runtime: str, flags: tuple[str, ...]) -> dict[str, object]:
    with running(docker, "web", runtime, *flags):
        wait_until(lambda: _told(docker, "127.0.0.1", 8090) == "web\n")
        before = _datagrams(docker, "web")
        _send(docker, GATEWAY, 8095, times=3)
        wait_until(lambda: _datagrams(docker, "web") != before)
        return {
            "reached": [
                _told(docker, address, port)
                for address, port in (
                    ("127.0.0.1", 8090), (GATEWAY, 8090), ("::1", 8090), ("::1", 8091),
                    ("127.0.0.1", 8092), (GATEWAY, 8093),
                )
            ],
            "not reached": [_told(docker, GATEWAY, port) for port in (8091, 8092)],
            "udp": _datagrams(docker, "web") - before,
            "hairpin": _says(docker, "web", GATEWAY, port=8090),
            "port": sorted(docker.ok("port", "web").splitlines()),
        }  # fmt: skip


def _datagrams(docker: Docker, name: str) -> int:
    """How many have come to a container at a port where nobody listens."""
    count = "grep Udp: /proc/net/snmp | tail -1 | cut -d' ' -f3"
    return int(docker.ok("exec", name, "sh", "-c", count))


def _send(docker: Docker, address: str, port: int, *, times: int) -> None:
    """Send datagrams from docker's host."""
    with Path(f"/run/netns/{docker.name}").open("rb") as file:
        with Netns(file.fileno()).entered():
            caller = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with caller:
            for _ in range(times):
                caller.sendto(b"word", (address, port))
                time.sleep(0.5)


@pytest.mark.nightly
def test_links_follow_who_is_started_again(docker: Docker) -> None:
    """docker writes the new address into the hosts file of a container that runs."""
    found: dict[str, list[bool]] = {}
    for runtime in RUNTIMES:
        with (
            running(docker, "web", "enclos"),
            running(docker, "linked", runtime, "--link", "web:db"),
        ):
            before = _address(docker, "web")
            docker.ok("stop", "-t", "0", "web")
            with running(docker, "taker", "runc"):
                docker.ok("start", "web")
                after = _address(docker, "web")
                lines = docker.ok("exec", "linked", "cat", "/etc/hosts")
                found[runtime] = [
                    before != after, f"{after}\tdb" in lines, f"{before}\tdb" in lines,
                ]  # fmt: skip
                wait_until(lambda: _says(docker, "linked", "db") == "web\n")
    assert found["enclos"] == found["runc"] == [True, True, False]


def _address(docker: Docker, name: str) -> str:
    return docker.ok("inspect", "-f", "{{.NetworkSettings.IPAddress}}", name).strip()


@pytest.mark.nightly
def test_files_of_names_change_as_it_runs(docker: Docker) -> None:
    """What is written on the host into hosts and resolv.conf is read in the container."""
    with running(docker, "reader", "enclos"):
        for name, line in (("Hosts", "192.0.2.7 late"), ("ResolvConf", "nameserver 192.0.2.53")):
            path = docker.ok("inspect", "-f", f"{{{{.{name}Path}}}}", "reader").strip()
            with open(path, "a", encoding="utf-8") as file:
                file.write(f"{line}\n")
            place = "/etc/hosts" if name == "Hosts" else "/etc/resolv.conf"
            assert docker.ok("exec", "reader", "cat", place).endswith(line)


@pytest.mark.nightly
@pytest.mark.parametrize("joining", RUNTIMES)
@pytest.mark.parametrize("joined", RUNTIMES)
def test_joining_a_containers_network(docker: Docker, joined: str, joining: str) -> None:
    """It keeps what it has, before, during and after; both meet on the loopback."""
    with running(docker, "first", joined):
        address = _address(docker, "first")
        wait_until(lambda: _told(docker, address, 80) == "first\n")
        serve = "while :; do echo second | nc -l -p 81; done >/dev/null 2>&1 & wait"
        words = (
            "run",
            "-d",
            "--name",
            "second",
            "--runtime",
            joining,
            "--network",
            "container:first",
        )
        docker.ok(*words, IMAGE, "sh", "-c", serve)
        try:
            assert f"inet {address}/" in docker.ok("exec", "second", "ip", "address")
            wait_until(lambda: _told(docker, address, 80) == "first\n")
            wait_until(lambda: _says(docker, "second", "127.0.0.1") == "first\n")
            wait_until(lambda: _says(docker, "first", "127.0.0.1", port=81) == "second\n")
            wait_until(lambda: _told(docker, address, 81) == "second\n")
        finally:
            docker("rm", "-f", "second")
        wait_until(lambda: _told(docker, address, 80) == "first\n")


def test_names_and_changes_of_a_network_of_ones_own(docker: Docker) -> None:
    """docker's own server of names answers in the guest; networks come and go as it runs."""
    docker.ok("network", "create", "--subnet", "172.27.1.0/24", "own")
    docker.ok("network", "create", "--subnet", "172.27.2.0/24", "more")
    try:
        with (
            running(docker, "one", "enclos", "--network", "own"),
            running(docker, "two", "runc", "--network", "own", "--network-alias", "deux"),
            running(docker, "three", "runc", "--network", "more"),
        ):
            assert "nameserver 127.0.0.11" in docker.ok("exec", "one", "cat", "/etc/resolv.conf")
            assert [_says(docker, "one", name) for name in ("two", "deux")] == ["two\n"] * 2
            assert _says(docker, "two", "one") == "one\n"
            assert _says(docker, "one", "three") == ""
            docker.ok("network", "connect", "more", "one")
            wait_until(lambda: "172.27.2." in docker("exec", "one", "ip", "address").out)
            assert _says(docker, "one", "three") == "three\n"
            assert _says(docker, "three", "one") == "one\n"
            docker.ok("network", "disconnect", "more", "one")
            wait_until(lambda: "172.27.2." not in docker("exec", "one", "ip", "address").out)
            assert _says(docker, "one", "two") == "two\n"
    finally:
        docker.ok("network", "rm", "own", "more")
