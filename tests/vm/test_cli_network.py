"""`enclos run --network`: ways out, published ports, names, and nothing that stays.

The host is a namespace of the test: whoever starts a container lends it that one's network.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from enclos.wire import places
from tests.support import bridges, bundles, hosts, leaks, waiting
from tests.support.cli import Programs
from tests.support.hosts import DEMO, Host

pytestmark = pytest.mark.timeout(900)
TCP, LOW, UDP = 8080, 80, 5353
OPERSTATE = "/sys/class/net/eth0/operstate"


@pytest.fixture(scope="module")
def host(programs: Programs) -> Iterator[Host]:
    before = leaks.snapshot(programs.scope)
    with hosts.on_a_bridge(programs) as found:
        looks = found.looks()
        yield found
        found.remove_all()
        assert found.looks() == looks
    assert not leaks.wait_settled(before, programs.scope)


@pytest.fixture(scope="module")
def web(host: Host) -> str:
    """A container that answers at published ports."""
    script = """
        (while true; do echo tcp | nc -l -p 80 >>/dev/shm/heard; done) &
        (while true; do echo alone | nc -l -p 81; done) &
        (while true; do sleep 1000 | nc -l -p 82; done) &
        sleep 10000
    """
    return host.keep("--name", "web", "-p", f"{TCP}:80", "-p", f"127.0.0.1:{LOW}:80",
                     "-p", f"{host.member.ip['eth0']}:9000-9002:80-82", "-p", f"{UDP}:53/udp",
                     "--add-host", "far:192.0.2.9", "--dns-search", "example.org",
                     "--hostname", "webhost", "--mac-address", "02:00:00:00:be:ef",
                     script=script)  # fmt: skip


@pytest.fixture(scope="module")
def own(host: Host) -> str:
    """A container in the host's network."""
    script = f"cat {OPERSTATE} >/dev/shm/first; echo host | nc -l -p 7800; sleep 10000"
    return host.keep("--network", "host", script=script)


def test_an_interface_has_its_carrier_from_the_start(host: Host, own: str) -> None:
    assert host.sh(own, "cat /dev/shm/first") == "up\n"


def test_published_ports_answer(host: Host, web: str) -> None:
    own = host.member.ip["eth0"]
    assert host.dial("127.0.0.1", TCP) == "tcp\n"
    assert host.dial("127.0.0.1", LOW) == "tcp\n"
    assert host.dial("::1", TCP) == "tcp\n"
    assert host.dial(own, TCP, outside=True) == "tcp\n"
    assert host.dial(own, 9001, outside=True) == "alone\n"
    assert not host.dial(own, LOW, outside=True, tries=2)
    assert "word\n" in host.sh(web, "cat /dev/shm/heard")


def test_published_datagrams_arrive(host: Host, web: str) -> None:
    """Nobody listens there, which the guest's kernel counts."""
    count = "grep Udp: /proc/net/snmp | tail -1 | cut -d' ' -f3"
    before = int(host.sh(web, count))
    with host.bridge.host.entered(), socket.socket(type=socket.SOCK_DGRAM) as caller:
        for _ in range(3):
            caller.sendto(b"word", (host.member.ip["eth0"], UDP))
            time.sleep(0.5)
    assert int(host.sh(web, count)) == before + 3


def test_the_interface_is_of_the_machines_start(host: Host, web: str) -> None:
    assert places.SPARE_PATH in host.sh(web, "readlink -f /sys/class/net/eth0")


def test_the_caller_is_seen(host: Host, web: str) -> None:
    """Unlike with a proxy, the address is the caller's."""
    dial = f"sleep 60 | {bundles.busybox()} nc {host.member.ip['eth0']} 9002"
    with subprocess.Popen(["nsenter", f"--net={host.bridge.host.path}", "sh", "-c", dial],
                          stdout=subprocess.DEVNULL, start_new_session=True) as call:  # fmt: skip
        loop = f"for i in $(seq 50); do netstat -tn | grep ':82 .*{bridges.NETWORK}.1:' && break"
        assert "ESTABLISHED" in host.sh(web, f"{loop}; sleep 0.3; done")
        os.killpg(call.pid, signal.SIGKILL)


def test_what_the_container_has(host: Host, web: str) -> None:
    address = host.sh(web, "ip address show eth0")
    assert "inet 10.0.2.15/24" in address
    assert "02:00:00:00:be:ef" in address
    assert host.sh(web, "hostname") == "webhost\n"
    hosts = host.sh(web, "cat /etc/hosts")
    assert "192.0.2.9\tfar" in hosts
    assert "10.0.2.15\twebhost" in hosts
    assert "search example.org" in host.sh(web, "cat /etc/resolv.conf")


@pytest.mark.parametrize("protocol", ["ip", "ip6"])
def test_the_way_out(host: Host, web: str, protocol: str) -> None:
    address = bridges.NETWORK + ".1" if protocol == "ip" else bridges.NETWORK6 + ":1"
    inside = f"nsenter --net={host.bridge.host.path}"
    script = f"echo outside | timeout 60 {inside} {bundles.busybox()} nc -l -p 7100 >/dev/null"
    with subprocess.Popen(["sh", "-c", script]):
        assert host.sh(web, f"sleep 1; echo x | nc -w 10 {address} 7100") == "outside\n"


def test_the_hosts_loopback_is_not_reached(host: Host, web: str) -> None:
    script = f"timeout 10 {bundles.busybox()} nc -l -s 127.0.0.1 -p 7600"
    with subprocess.Popen(["nsenter", f"--net={host.member.netns.path}", "sh", "-c", script]):
        said = host.sh(web, "sleep 1; echo x | nc -w 3 10.0.2.2 7600; echo $?")
    assert said == "1\n"


def test_ports_are_listed(host: Host, web: str) -> None:
    own = host.member.ip["eth0"]
    assert host.ok("port", "web", "80").splitlines() == [
        f"0.0.0.0:{TCP}", f"127.0.0.1:{LOW}", f"{own}:9000"
    ]  # fmt: skip
    assert f"53/udp -> 0.0.0.0:{UDP}\n" in host.ok("port", "web")
    ports = host.ok("ps", "--filter", "name=web", "--format", "{{.Ports}}")
    assert f"0.0.0.0:{TCP}->80/tcp" in ports
    assert f"{own}:9000-9002->80-82/tcp" in ports
    (found,) = json.loads(host.ok("inspect", "web"))
    assert found["HostConfig"]["NetworkMode"] == "bridge"
    assert found["NetworkSettings"]["Ports"]["53/udp"] == [
        {"HostIp": "0.0.0.0", "HostPort": str(UDP)}
    ]
    assert found["NetworkSettings"]["Networks"]["bridge"]["IPAddress"] == "10.0.2.15"


def test_another_joins(host: Host, web: str) -> None:
    joined = ("run", "--rm", "--network", "container:web", DEMO, "sh", "-c")
    said = host.ok(*joined, "echo x | nc -w 10 127.0.0.1 81; hostname; ip address show eth0")
    assert said.startswith("alone\nwebhost\n")
    assert "02:00:00:00:be:ef" in said
    assert host.dial("127.0.0.1", TCP) == "tcp\n"


def test_bad_input_leaves_nothing(host: Host, web: str) -> None:
    before = leaks.snapshot(host.programs.scope)
    with _taken(host, 7700):
        for flags, words in (
            (("-p", "7700:80"), "port is already in use"),
            (("-p", f"{TCP}:80"), "port is already in use"),
            (("-p", f"{UDP}:1/udp"), "port is already in use"),
            (("-p", "192.0.2.77:1:1"), "no such address"),
            (("-p", "x"), "is no port"),
            (("--network", "nowhere"), "network 'nowhere' not found"),
            (("--network", "container:nobody"), "no such container: nobody"),
            (("--network", "container:web", "-p", "1:1"), "conflicting options"),
        ):
            answer = host.enclos("run", "--rm", *flags, DEMO, "true")
            lines = answer.err.splitlines()
            assert answer.code == 125, (flags, answer.err)
            assert words in lines[0], (flags, answer.err)
            assert lines[1].startswith("hint: "), (flags, answer.err)
    assert not leaks.wait_settled(before, host.programs.scope)


@contextmanager
def _taken(host: Host, port: int) -> Iterator[None]:
    inside = ["nsenter", f"--net={host.member.netns.path}"]
    listen = [str(bundles.busybox()), "nc", "-l", "-p", str(port)]
    with subprocess.Popen([*inside, *listen], stdin=subprocess.DEVNULL) as process:
        while str(port) not in host.member.netns.run("ss", "-Hltn"):
            time.sleep(0.1)
        yield
        process.kill()


@pytest.mark.nightly
def test_a_killed_passt_comes_again(host: Host) -> None:
    """With its published ports, and the way out."""
    made = host.keep("-p", "7950:80", script="while true; do echo again | nc -l -p 80; done")
    assert host.dial("127.0.0.1", 7950) == "again\n"
    ledger = host.programs.state_root / "sandboxes" / made / "ledger"
    entries = [json.loads(path.read_text())["fields"] for path in sorted(ledger.iterdir())]
    (pid,) = [fields["pid"] for fields in entries if fields.get("name") == "passt"]
    os.kill(pid, signal.SIGKILL)
    waiting.until(lambda: host.dial("127.0.0.1", 7950, tries=1) == "again\n")
    test_the_way_out(host, made, "ip")
    host.ok("rm", "-f", made)


def test_the_hosts_own(host: Host, own: str) -> None:
    assert f"inet {host.member.ip['eth0']}/24" in host.sh(own, "ip address")
    script = f"""for i in $(seq 100); do
        sleep 2 | {bundles.busybox()} nc -w 20 127.0.0.1 7800 && break; sleep 0.1
    done"""
    assert host.member.netns.run("sh", "-c", script) == "host\n"


def test_killed_with_everything_and_swept(host: Host) -> None:
    made = host.keep("-p", "7900:79", script="nc -l -p 79; sleep 10000")
    record = json.loads((host.programs.state_root / "sandboxes" / made / "record.json").read_text())
    subprocess.run(["kill", "-9", str(record["supervisor_pid"])], check=True)
    for _ in range(200):
        if "7900" not in host.member.netns.run("ss", "-Hltn"):
            break
        time.sleep(0.1)
    assert "7900" not in host.member.netns.run("ss", "-Hltn")
    host.ok("sweep", "--quiet")
    host.ok("start", made)  # the port is free again
    assert "7900" in host.member.netns.run("ss", "-Hltn")
    host.ok("rm", "-f", made)
