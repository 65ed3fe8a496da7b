"""docker's networks with our runtime and with runc: a dockerd with a bridge, in a namespace."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from tests.support import dockerd
from tests.support.bundles import busybox
from tests.support.cli import Programs
from tests.support.dockerd import IMAGE, Docker
from tests.support.podman import wait_until

pytestmark = pytest.mark.timeout(1200)
SERVE: Final = "while :; do echo {} | nc -l -p 80; done >/dev/null 2>&1 & wait"
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


def _says(docker: Docker, container: str, host: str, *, seconds: int = 20) -> str:
    """What somebody hears at a host's port 80 in a container."""
    script = f"sleep 2 | timeout {seconds} nc -w 9 {host} 80"
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
