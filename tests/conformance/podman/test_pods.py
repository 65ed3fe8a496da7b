"""Pods and joined namespaces: one virtual machine, and in it what was asked for is shared."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.podman import IMAGE, Podman, wait_until

SLEEP = ("sleep", "10000")


def _machines(podman: Podman) -> set[str]:
    """Ids of the sandboxes that run."""
    place = podman.state_root / "sandboxes"
    return {path.name for path in place.iterdir()} if place.exists() else set()


def _add(podman: Podman, pod: str, name: str, *words: str) -> str:
    return podman.ok("run", "-d", f"--pod={pod}", f"--name={name}", IMAGE, *(words or SLEEP))


@pytest.fixture(scope="module")
def pod(podman: Podman) -> Iterator[str]:
    """A pod of five containers, the infra container among them."""
    podman.ok("pod", "create", "--name=five", "--network=none", "--share=ipc,net,uts")
    before = _machines(podman)
    for name in ("one", "two", "three"):
        _add(podman, "five", name)
    _add(podman, "five", "four", "sh", "-c", "echo hi >/dev/shm/note; exec sleep 10000")
    assert len(_machines(podman) - before) == 1
    yield "five"
    podman.ok("pod", "rm", "--force", "--time=0", "five")
    assert _machines(podman) <= before


def test_five_containers_are_one_machine(podman: Podman, pod: str) -> None:
    boots = {
        podman.ok("exec", name, "cat", "/proc/sys/kernel/random/boot_id")
        for name in ("one", "two", "three", "four")
    }
    assert len(boots) == 1
    said: Any = json.loads(podman.ok("pod", "inspect", pod))
    found = said[0] if isinstance(said, list) else said  # a list since podman 5
    assert [one["State"] for one in found["Containers"]] == ["running"] * 5


@pytest.mark.parametrize(
    ("kind", "shared"),
    [("ipc", True), ("net", True), ("uts", True), ("pid", False), ("mnt", False)],
)
def test_shared_is_what_was_asked_for(podman: Podman, pod: str, kind: str, *, shared: bool) -> None:
    links = {
        podman.ok("exec", name, "readlink", f"/proc/self/ns/{kind}") for name in ("one", "two")
    }
    assert (len(links) == 1) is shared


def test_they_meet_on_the_loopback_and_in_shared_memory(podman: Podman, pod: str) -> None:
    podman.ok("exec", "-d", "one", "sh", "-c", "echo from one | nc -l -p 77")
    wait_until(lambda: podman.run("exec", "two", "nc", "127.0.0.1", "77").out == "from one\n")
    assert podman.ok("exec", "one", "cat", "/dev/shm/note") == "hi"
    assert podman.ok("exec", "one", "hostname") == podman.ok("exec", "two", "hostname")


def test_one_may_end_and_the_others_stay(podman: Podman, pod: str) -> None:
    podman.ok("kill", "three")
    assert podman.ok("wait", "three") == "137"
    assert podman.ok("exec", "one", "echo", "here") == "here"
    podman.ok("start", "three")
    assert podman.ok("exec", "three", "echo", "again") == "again"


def test_a_pod_stops_gently(podman: Podman) -> None:
    """podman stops all at once: the machine waits for those that take their time."""
    podman.ok("pod", "create", "--name=gentle", "--network=none")
    try:
        slow = "trap 'sleep 2; echo saved; exit 0' TERM; echo ready; while :; do sleep 0.1; done"
        _add(podman, "gentle", "slow", "sh", "-c", slow)
        wait_until(lambda: "ready" in podman.ok("logs", "slow"))
        podman.ok("pod", "stop", "gentle")
        assert podman.inspected("slow")["State"]["ExitCode"] == 0
        assert podman.ok("logs", "slow").splitlines() == ["ready", "saved"]
        assert not [
            name for name in _machines(podman) if name in podman.ok("pod", "inspect", "gentle")
        ]
        podman.ok("pod", "start", "gentle")
        wait_until(lambda: podman.ok("logs", "slow").count("ready") == 2)
    finally:
        podman.ok("pod", "rm", "--force", "--time=0", "gentle")


def test_a_pod_with_one_process_table(podman: Podman) -> None:
    podman.ok("pod", "create", "--name=table", "--network=none", "--share=pid,ipc,net,uts")
    try:
        _add(podman, "table", "first", "sh", "-c", "exec sleep 11111")
        _add(podman, "table", "second")
        wait_until(lambda: "sleep 11111" in podman.ok("exec", "second", "ps"))
    finally:
        podman.ok("pod", "rm", "--force", "--time=0", "table")


@pytest.mark.parametrize(
    ("flag", "name"),
    [
        ("pid", "pid"),
        ("network", "net"),
        pytest.param("ipc", "ipc", marks=pytest.mark.nightly),
        pytest.param("uts", "uts", marks=pytest.mark.nightly),
    ],
)
def test_joining_a_container(podman: Podman, box: str, flag: str, name: str) -> None:
    before = _machines(podman)
    network = () if flag == "network" else ("--network=none",)
    words = ("run", "--rm", *network, f"--{flag}=container:{box}", IMAGE, "sh", "-c")
    script = f"readlink /proc/self/ns/{name}; cat /proc/sys/kernel/random/boot_id"
    joined = podman.ok(*words, script).splitlines()
    assert joined == podman.ok("exec", box, "sh", "-c", script).splitlines()
    other = "ipc" if flag != "ipc" else "uts"
    link = f"readlink /proc/self/ns/{other}"
    assert podman.ok(*words, link) != podman.ok("exec", box, "sh", "-c", link)
    assert _machines(podman) == before


def test_joining_two_machines_is_refused(podman: Podman, box: str) -> None:
    with podman.running("--name=other") as other:
        flags = (f"--pid=container:{box}", f"--ipc=container:{other}")
        answer = podman.box(*flags, IMAGE, "true")
        assert answer.code == 126, answer.err
        assert "in different virtual machines" in answer.err


def test_joining_what_is_not_ours_is_refused(podman: Podman, runc: Podman) -> None:
    with runc.running() as foreign:
        answer = podman.box(f"--ipc=container:{foreign}", IMAGE, "true")
        assert answer.code == 126, answer.err
        assert "is no namespace of a container in this virtual machine" in answer.err


def test_a_member_of_a_foreign_pod_is_refused(podman: Podman, runc: Podman) -> None:
    runc.ok("pod", "create", "--name=foreign", "--network=none")
    try:
        runc.ok("run", "-d", "--pod=foreign", IMAGE, *SLEEP)
        answer = podman.run("run", "--rm", "--pod=foreign", IMAGE, "true")
        assert answer.code == 126, answer.err
        assert "the whole pod, this runtime" in answer.err
    finally:
        runc.ok("pod", "rm", "--force", "--time=0", "foreign")
