"""`enclos network`, and containers in networks with names, on a host of the test.

What netavark shares among all networks (its own chains, forwarding) stays on a host once it has
been there, so a host is compared with itself after one network came and went.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from enclos.linux import files, pid
from enclos.wire import places
from tests.support import bridges, hosts, leaks, waiting
from tests.support.cli import Programs
from tests.support.hosts import DEMO, Host

pytestmark = pytest.mark.timeout(900)
SUBNET, SUBNET6, SIDE = "10.64.7", "fd64:7:", "10.64.9"
TCP = 8081
ONE_OF_THEM = ("supervisor", "stand-in")
ANSWERS = "nc -ll -p 80 -e sh -c 'read x; echo {}'"


@pytest.fixture(scope="module")
def host(programs: Programs) -> Iterator[Host]:
    with hosts.on_a_bridge(programs) as found:
        found.ok("network", "create", "--subnet", f"{SUBNET}.0/24", "--subnet", f"{SUBNET6}:/64",
                 "--label", "a=b", "own")  # fmt: skip
        found.ok("network", "create", "--subnet", f"{SIDE}.0/24", "--ip-range", f"{SIDE}.128/25",
                 "side")  # fmt: skip
        found.ok("run", "--rm", "--network", "own", "--network", "side", DEMO, "true")
        before, looks = leaks.snapshot(programs.scope), found.looks()
        yield found
        found.remove_all()
        assert found.looks() == looks
        found.ok("network", "rm", "own", "side")
    assert not [left for left in _left(before, programs) if "/networks" not in left]


def _left(before: leaks.Snapshot, programs: Programs) -> list[str]:
    found = leaks.wait_settled(before, programs.scope)
    return [f"{kind} {line}" for kind, lines in found.items() for line in lines]


@pytest.fixture(scope="module")
def db(host: Host) -> str:
    """A container that answers."""
    return host.keep("--network", "own", "--name", "db", "--network-alias", "store",
                     "-p", f"{TCP}:80", script=ANSWERS.format("db"))  # fmt: skip


@pytest.fixture(scope="module")
def app(host: Host, db: str) -> str:
    """Another one, at an address of its choice."""
    return host.keep("--network", "own", "--name", "app", "--ip", f"{SUBNET}.77",
                     "--ip6", f"{SUBNET6}:77", "--mac-address", "02:00:00:00:07:77",
                     "--hostname", "caller")  # fmt: skip


@pytest.fixture(scope="module")
def two(host: Host, db: str) -> str:
    """One in two networks."""
    return host.keep("--network", "own", "--network", "name=side,alias=both", "--link", "db:linked",
                     "--name", "two", script=ANSWERS.format("two"))  # fmt: skip


def settings(host: Host, name: str, network: str = "own") -> dict[str, Any]:
    (found,) = json.loads(host.ok("inspect", name))
    networks: dict[str, Any] = found["NetworkSettings"]["Networks"]
    return {"mode": found["HostConfig"]["NetworkMode"], **networks.get(network, {})}


def calls(host: Host, container: str, place: str) -> str:
    """What is answered there, in the end: who has just been started may not listen yet."""
    found = ""

    def answered() -> bool:
        nonlocal found
        found = host.sh(container, f"echo x | nc -w 5 {place} 80 || true")
        return bool(found)

    waiting.until(answered)
    return found


def test_members_reach_each_other(host: Host, db: str, app: str) -> None:
    has = settings(host, db)
    for place in (has["IPAddress"], has["GlobalIPv6Address"], "db", "store", db[:12]):
        assert calls(host, app, place) == "db\n", place
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
                     "-p", "8098:80", script=ANSWERS.format("db"))  # fmt: skip
    assert host.dial("127.0.0.1", 8098) == "db\n"
    host.ok("stop", "-t", "0", "again")
    assert settings(host, "again")["IPAddress"] == ""
    assert not host.dial("127.0.0.1", 8098, tries=1)
    host.ok("start", "again")
    assert settings(host, "again")["IPAddress"] == f"{SUBNET}.78"
    assert calls(host, app, "again") == "db\n"
    host.ok("rm", "-f", made)
    assert "Name:" not in host.sh(app, "nslookup again || true")


def test_in_two_networks(host: Host, db: str, two: str) -> None:
    own, side = settings(host, two), settings(host, two, "side")
    assert (own["mode"], side["IPAddress"], side["Gateway"]) == ("own", f"{SIDE}.128", f"{SIDE}.1")
    inside = host.sh(two, "ip address; ip route; cat /etc/hosts /etc/resolv.conf")
    for words in (f"inet {own['IPAddress']}/24", f"inet {SIDE}.128/24",
                  f"default via {SUBNET}.1 dev eth0", f"nameserver {SUBNET}.1",
                  f"linked {db[:12]} db"):  # fmt: skip
        assert words in inside
    assert calls(host, two, "linked") == "db\n"
    (network,) = json.loads(host.ok("network", "inspect", "side"))
    assert network["Containers"][two]["IPv4Address"] == f"{SIDE}.128/24"
    assert network["IPAM"]["Config"] == [
        {"Subnet": f"{SIDE}.0/24", "IPRange": f"{SIDE}.128/25", "Gateway": f"{SIDE}.1"}
    ]


@pytest.mark.nightly
def test_links_follow_who_is_started_again(host: Host, db: str) -> None:
    """At another address: somebody else has its old one."""
    target = host.keep("--network", "own", "--name", "moves", script=ANSWERS.format("moved"))
    caller = host.keep("--network", "own", "--link", "moves:linked", "--name", "stays")
    before = settings(host, target)["IPAddress"]
    assert f"{before}\tlinked {target[:12]} moves" in host.sh(caller, "cat /etc/hosts")
    host.ok("stop", "-t", "0", "moves")
    taker = host.keep("--network", "own", "--ip", before)
    assert before in host.sh(caller, "cat /etc/hosts")
    lock = host.programs.data_root / "containers" / caller / "lock"
    with ThreadPoolExecutor(1) as pool, files.locked(lock, timeout_s=5):  # as a connect has it
        start = pool.submit(host.ok, "start", "moves")
        waiting.until(lambda: settings(host, target)["IPAddress"])
        time.sleep(2)
        assert (start.done(), before in host.sh(caller, "cat /etc/hosts")) == (False, True)
    start.result()
    after = settings(host, target)["IPAddress"]
    hosts_file = host.sh(caller, "cat /etc/hosts")
    assert (before != after, f"{before}\tlinked" in hosts_file) == (True, False)
    assert f"{after}\tlinked {target[:12]} moves" in hosts_file
    assert calls(host, caller, "linked") == "moved\n"
    host.ok("rm", "-f", caller, target, taker)


def test_connected_and_disconnected_while_it_runs(host: Host, app: str, two: str) -> None:
    looks = host.looks()
    host.ok("network", "connect", "--ip", f"{SIDE}.50", "--alias", "guest", "side", "app")
    assert f"inet {SIDE}.50/24" in host.sh(app, "ip address show eth1")
    assert settings(host, "app", "side")["IPAddress"] == f"{SIDE}.50"
    for place in (f"{SIDE}.128", "both"):
        assert calls(host, app, place) == "two\n", place
    assert f"Address: {SIDE}.50" in host.sh(two, "nslookup guest")
    host.ok("network", "disconnect", "side", "app")
    assert "eth1" not in host.sh(app, "ip address; cat /etc/hosts")
    assert "IPAddress" not in settings(host, "app", "side")
    assert host.looks() == looks


def test_the_first_one_is_left_and_joined_again(host: Host, db: str) -> None:
    made = host.keep("--network", "own", "--network", "side", "--name", "three",
                     "--cap-add", "NET_ADMIN", "-p", "8100:80",
                     script=ANSWERS.format("db"))  # fmt: skip
    assert places.SPARE_PATH in host.sh(made, "readlink -f /sys/class/net/eth0")
    assert host.dial("127.0.0.1", 8100) == "db\n"
    host.ok("network", "disconnect", "own", "three")
    assert host.ok("port", "three") == ""
    _can_be_had(host, 8100)
    assert host.sh(made, f"ls {places.SPARE_PATH} || true") == ""
    inside = host.sh(made, "ip -4 address; cat /etc/resolv.conf; ip link add eth0 type dummy")
    assert "eth0" not in inside
    assert f"nameserver {SIDE}.1" in inside
    _not_connected(host, "own", "three")
    host.sh(made, "ip link del eth0; head -c 2000000 /dev/zero >/etc/hosts")
    host.ok("network", "connect", "own", "three")
    assert places.PORTS_PATH in host.sh(made, "readlink -f /sys/class/net/eth0")
    assert calls(host, made, "db") == "db\n"
    assert host.ok("port", "three") == "80/tcp -> 0.0.0.0:8100\n"
    assert host.dial("127.0.0.1", 8100) == "db\n"
    host.ok("restart", "-t", "0", "three")
    inside = host.sh(made, "ip -4 address show eth0; ip -4 address show eth1")
    assert inside.index(f"inet {SIDE}.") < inside.index(f"inet {SUBNET}.")  # the order of today
    host.ok("rm", "-f", made)


def _can_be_had(host: Host, port: int) -> None:
    with host.bridge.host.entered(), socket.create_server(("", port)):
        return


def _not_connected(host: Host, network: str, name: str) -> None:
    """The guest has no place for the interface; nothing of the attempt stays, ports included."""
    looks = host.looks()
    refused = host.enclos("network", "connect", network, name)
    assert (refused.code, len(refused.err.splitlines())) == (1, 2), refused.err
    assert "interface eth0" in refused.err
    assert "IPAddress" not in settings(host, name, network)
    assert host.looks() == looks
    _can_be_had(host, 8100)


def test_connected_for_its_next_start(host: Host, db: str) -> None:
    host.ok("create", "--network", "own", "--name", "later", DEMO, "ip", "-4", "address")
    host.ok("network", "connect", "side", "later")
    host.ok("network", "disconnect", "own", "later")
    said = host.ok("start", "-a", "later")
    assert f"inet {SIDE}." in said
    assert SUBNET not in said
    host.ok("rm", "later")


def test_bad_input(host: Host, db: str, app: str) -> None:
    looks, before = host.looks(), leaks.snapshot(host.programs.scope)
    run = ("run", "--rm")
    for words, code, said in (
        ((*run, "--network", "nowhere"), 125, "network 'nowhere' not found"),
        ((*run, "--network", "own", "--ip", f"{SUBNET}.77"), 125, "already in use"),
        ((*run, "--network", "own", "--ip", "10.1.1.1"), 125, "in none of the network's subnets"),
        ((*run, "--network", "own", "-p", f"{TCP}:80"), 125, "port is already in use"),
        ((*run, "--network", "bridge", "--ip", "10.1.1.1"), 125, "conflicting options: --ip"),
        ((*run, "--network", "own", "--network", "own"), 125, "specified multiple times"),
        ((*run, "--network", "own", "--network", "host"), 125, "conflicting options"),
        ((*run, "--network", "own", "--network", "name=side,ip=10.1.1.1"), 125, "in none of the"),
        ((*run, "--network", "own", "--link", "nobody"), 125, "no such container"),
        ((*run, "--network", "side", "--link", "db"), 125, "in none of the container's networks"),
        ((*run, "--link", "db"), 125, "conflicting options: --link and the network none"),
        (("network", "connect", "own", "db"), 1, "already exists in network own"),
        (("network", "connect", "own", "nobody"), 1, "no such container"),
        (("network", "connect", "nowhere", "db"), 1, "network 'nowhere' not found"),
        (("network", "connect", "--ip", "10.1.1.1", "side", "db"), 1, "in none of the network's"),
        (("network", "connect", "--ip", f"{SIDE}.1", "side", "db"), 1, "already in use"),
        (("network", "connect", "--alias", "a b", "side", "db"), 1, "no name of a host"),
        (("network", "disconnect", "side", "db"), 1, "is not connected to network side"),
        (("network", "disconnect", "own"), 125, "requires 2 arguments"),
        (("network", "create", "--ip-range", "10.9.9.0/24", "x"), 1, "no part of the network's"),
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
    assert host.ok("network", "ls", "-q").count("\n") == 2
    assert not _left(before, host.programs)
    assert host.looks() == looks


def test_an_internal_network(host: Host) -> None:
    host.ok("network", "create", "--internal", "shut")
    refused = host.enclos("run", "--rm", "--network", "shut", "-p", "1:1", DEMO, "true")
    assert "the network is internal: shut" in refused.err
    script = f"nslookup $(hostname); echo x | nc -w 3 {bridges.NETWORK}.1 7100; ip route"
    said = host.ok("run", "--rm", "--network", "shut", "--name", "in", DEMO, "sh", "-c", script)
    assert "default" not in said
    assert json.loads(host.ok("network", "inspect", "shut"))[0]["Internal"] is True
    assert host.ok("network", "rm", "shut") == "shut\n"


@pytest.mark.parametrize(
    "victim", ["both", *(pytest.param(one, marks=pytest.mark.nightly) for one in ONE_OF_THEM)]
)
def test_killed_and_swept(host: Host, db: str, app: str, two: str, victim: str) -> None:
    looks = host.looks()
    made = host.keep("--network", "own", "--network", "side", "-p", "8099:80")
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
