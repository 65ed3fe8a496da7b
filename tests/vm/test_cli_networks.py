"""`enclos network`, and containers in networks with names, on a host of the test.

What netavark shares among all networks (its own chains, forwarding) stays on a host once it has
been there, so a host is compared with itself after one network came and went.
"""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from enclos.linux import pid
from tests.support import bridges, hosts, leaks, waiting
from tests.support.cli import Programs
from tests.support.hosts import DEMO, Host

pytestmark = pytest.mark.timeout(900)
SUBNET, SUBNET6 = "10.64.7", "fd64:7:"
TCP = 8081
ONE_OF_THEM = ("supervisor", "stand-in")
ANSWERS = "while true; do echo db | nc -l -p 80; done"


@pytest.fixture(scope="module")
def host(programs: Programs) -> Iterator[Host]:
    with hosts.on_a_bridge(programs) as found:
        found.ok("network", "create", "--subnet", f"{SUBNET}.0/24", "--subnet", f"{SUBNET6}:/64",
                 "--label", "a=b", "own")  # fmt: skip
        found.ok("run", "--rm", "--network", "own", DEMO, "true")
        before, looks = leaks.snapshot(programs.scope), found.looks()
        yield found
        found.remove_all()
        assert found.looks() == looks
        found.ok("network", "rm", "own")
    assert not [left for left in _left(before, programs) if "/networks" not in left]


def _left(before: leaks.Snapshot, programs: Programs) -> list[str]:
    found = leaks.wait_settled(before, programs.scope)
    return [f"{kind} {line}" for kind, lines in found.items() for line in lines]


@pytest.fixture(scope="module")
def db(host: Host) -> str:
    """A container that answers."""
    return host.keep("--network", "own", "--name", "db", "--network-alias", "store",
                     "-p", f"{TCP}:80", script=ANSWERS)  # fmt: skip


@pytest.fixture(scope="module")
def app(host: Host, db: str) -> str:
    """Another one, at an address of its choice."""
    return host.keep("--network", "own", "--name", "app", "--ip", f"{SUBNET}.77",
                     "--ip6", f"{SUBNET6}:77", "--mac-address", "02:00:00:00:07:77",
                     "--hostname", "caller")  # fmt: skip


def settings(host: Host, name: str) -> dict[str, Any]:
    (found,) = json.loads(host.ok("inspect", name))
    networks: dict[str, Any] = found["NetworkSettings"]["Networks"]
    return {"mode": found["HostConfig"]["NetworkMode"], **networks["own"]}


def test_members_reach_each_other(host: Host, db: str, app: str) -> None:
    has = settings(host, db)
    for place in (has["IPAddress"], has["GlobalIPv6Address"], "db", "store", db[:12]):
        assert host.sh(app, f"echo x | nc -w 20 {place} 80") == "db\n", place
    assert host.sh(app, "nslookup nobody; echo $?").endswith("1\n")


def test_addresses_are_shown(host: Host, db: str, app: str) -> None:
    has = settings(host, "app")
    assert (has["mode"], has["IPAddress"], has["GlobalIPv6Address"], has["MacAddress"]) == (
        "own", f"{SUBNET}.77", f"{SUBNET6}:77", "02:00:00:00:07:77"
    )  # fmt: skip
    assert (has["Gateway"], has["IPv6Gateway"]) == (f"{SUBNET}.1", f"{SUBNET6}:1")
    inside = host.sh(app, "ip address show eth0; cat /etc/hosts")
    for words in (f"inet {SUBNET}.77/24", f"inet6 {SUBNET6}:77/64", "02:00:00:00:07:77",
                  f"{SUBNET}.77\tcaller", f"{SUBNET6}:77\tcaller"):  # fmt: skip
        assert words in inside
    (network,) = json.loads(host.ok("network", "inspect", "own"))
    assert network["Containers"][app]["IPv4Address"] == f"{SUBNET}.77/24"
    assert network["Containers"][db]["Name"] == "db"
    assert network["Labels"] == {"a": "b"}


def test_published_ports_and_the_way_out(host: Host, db: str, app: str) -> None:
    own = host.member.ip["eth0"]
    assert host.dial("127.0.0.1", TCP) == "db\n"
    assert host.dial(own, TCP, outside=True) == "db\n"
    assert host.sh(app, f"echo x | nc -w 20 {own} {TCP}") == "db\n"
    with host.bridge.host.entered():
        listener = socket.create_server(("", 7100))
    with listener, ThreadPoolExecutor(1) as pool:
        caller = pool.submit(_answer, listener)
        assert host.sh(app, f"nc -w 20 {bridges.NETWORK}.1 7100") == "outside\n"
    assert caller.result() == own  # the host's address stands for the container's


def _answer(listener: socket.socket) -> str:
    """Answer one caller; its address."""
    listener.settimeout(60)
    call, (address, _) = listener.accept()
    with call:
        call.sendall(b"outside\n")
    return str(address)


def test_a_restart_is_another_stay(host: Host, db: str, app: str) -> None:
    made = host.keep("--network", "own", "--name", "again", "--ip", f"{SUBNET}.78",
                     "-p", "8098:80", script=ANSWERS)  # fmt: skip
    assert host.dial("127.0.0.1", 8098) == "db\n"
    host.ok("stop", "-t", "0", "again")
    assert settings(host, "again")["IPAddress"] == ""
    assert not host.dial("127.0.0.1", 8098, tries=1)
    host.ok("start", "again")
    host.ok("restart", "-t", "0", "again")
    assert settings(host, "again")["IPAddress"] == f"{SUBNET}.78"
    waiting.until(lambda: host.sh(app, "echo x | nc -w 5 again 80 || true") == "db\n")
    host.ok("rm", "-f", made)
    assert "Name:" not in host.sh(app, "nslookup again || true")


def test_bad_input(host: Host, db: str, app: str) -> None:
    looks, before = host.looks(), leaks.snapshot(host.programs.scope)
    run = ("run", "--rm")
    for words, code, said in (
        ((*run, "--network", "nowhere"), 125, "network 'nowhere' not found"),
        ((*run, "--network", "own", "--ip", f"{SUBNET}.77"), 125, "already in use"),
        ((*run, "--network", "own", "--ip", "10.1.1.1"), 125, "in none of the network's subnets"),
        ((*run, "--network", "own", "-p", f"{TCP}:80"), 125, "port is already in use"),
        ((*run, "--network", "bridge", "--ip", "10.1.1.1"), 125, "conflicting options: --ip"),
        (("network", "create", "own"), 1, "network with name own already exists"),
        (("network", "create", "host"), 1, "invalid network name"),
        (("network", "create", "--subnet", f"{SUBNET}.0/25", "x"), 1, "overlaps"),
        (("network", "create", "--subnet", f"{bridges.NETWORK}.0/24", "x"), 1, "overlaps"),
        (("network", "create", "--subnet", "10.9.9.9/24", "x"), 1, "the range is 10.9.9.0/24"),
        (("network", "create", "--driver", "macvlan", "x"), 1, "no network driver 'macvlan'"),
        (("network", "create", "--nonsense", "x"), 125, "unknown flag"),
        (("network", "rm", "own"), 1, "network own has active endpoints"),
        (("network", "rm", "nowhere"), 1, "network 'nowhere' not found"),
        (("network", "inspect", "nowhere"), 1, "network 'nowhere' not found"),
    ):
        image = (DEMO, "true") if words[0] == "run" else ()
        answer = host.enclos(*words, *image)
        lines = answer.err.splitlines()
        assert (answer.code, len(lines)) == (code, 2), (words, answer.err)
        assert said in lines[0], (words, answer.err)
    assert host.ok("network", "ls", "-q").count("\n") == 1
    assert not _left(before, host.programs)
    assert host.looks() == looks


def test_an_internal_network(host: Host) -> None:
    host.ok("network", "create", "--internal", "shut")
    refused = host.enclos("run", "--rm", "--network", "shut", "-p", "1:1", DEMO, "true")
    assert "the network shut is internal" in refused.err
    script = f"nslookup $(hostname); echo x | nc -w 3 {bridges.NETWORK}.1 7100; ip route"
    said = host.ok("run", "--rm", "--network", "shut", "--name", "in", DEMO, "sh", "-c", script)
    assert "default" not in said
    assert json.loads(host.ok("network", "inspect", "shut"))[0]["Internal"] is True
    assert host.ok("network", "rm", "shut") == "shut\n"


@pytest.mark.parametrize(
    "victim", ["both", *(pytest.param(one, marks=pytest.mark.nightly) for one in ONE_OF_THEM)]
)
def test_killed_and_swept(host: Host, db: str, app: str, victim: str) -> None:
    looks = host.looks()
    made = host.keep("--network", "own", "-p", "8099:80")
    assert host.looks() != looks
    assert settings(host, made)["IPAddress"]
    record = json.loads((host.programs.state_root / "sandboxes" / made / "record.json").read_text())
    container = json.loads(host.ok("inspect", made))[0]
    both = [pid.ref(record["supervisor_pid"]), pid.ref(container["State"]["Pid"])]
    chosen = {"supervisor": both[:1], "stand-in": both[1:], "both": both}
    for process in chosen[victim]:
        os.kill(process.pid, signal.SIGKILL)
    waiting.until(lambda: not any(process.alive() for process in both))
    host.ok("sweep", "--quiet")
    assert settings(host, made)["IPAddress"] == ""
    assert host.looks() == looks
    host.ok("rm", "-f", made)
    assert host.looks() == looks
    assert host.dial("127.0.0.1", TCP) == "db\n"  # the others' are still there
