"""A pod as CRI makes one: a pause container and members with its annotations are one machine, one
shim, and share the namespaces they name."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

import pytest

from tests.support import victims
from tests.support.containerd import Containerd, wait_for

BOOT: Final = "/proc/sys/kernel/random/boot_id"
SHARED: Final = ("network", "ipc", "uts")
MEMBERS: Final = ("pause", "one", "two", "three")


def _flags(kind: str, pause_pid: int = 0) -> tuple[str, ...]:
    annotations = {
        "io.kubernetes.cri.sandbox-id": "pause",
        "io.kubernetes.cri.container-type": kind,
    }
    flags = [
        word for key, text in annotations.items() for word in ("--annotation", f"{key}={text}")
    ]
    names = {"network": "net"}
    for space in SHARED if pause_pid else ():
        flags += ["--with-ns", f"{space}:/proc/{pause_pid}/ns/{names.get(space, space)}"]
    return tuple(flags)


@pytest.fixture(scope="module")
def pod(containerd: Containerd) -> Iterator[dict[str, float]]:
    """pause and three more; how long each took to run."""
    took: dict[str, float] = {}
    with ExitStack() as stack:
        pause_pid = 0
        for name in MEMBERS:
            flags = _flags("container" if pause_pid else "sandbox", pause_pid)
            began = time.monotonic()
            stack.enter_context(containerd.detached(name, "exec sleep 10000", flags=flags))
            took[name] = time.monotonic() - began
            pause_pid = pause_pid or containerd.tasks()[name][0]
        yield took


@pytest.mark.usefixtures("pod")
def test_one_shim_and_one_machine(containerd: Containerd, box: str) -> None:
    assert len({containerd.shim(name) for name in MEMBERS}) == 1
    assert containerd.shim(box) != containerd.shim("pause")
    assert len(victims.machines(containerd.shim("pause"))) == 1
    boots = {containerd.exec(name, "cat", BOOT).out for name in MEMBERS}
    assert len(boots) == 1
    assert boots != {containerd.exec(box, "cat", BOOT).out}


@pytest.mark.usefixtures("pod")
def test_they_share_what_they_name(containerd: Containerd) -> None:
    for kind in ("net", "ipc", "uts"):
        links = {containerd.exec(name, "readlink", f"/proc/self/ns/{kind}").out
                 for name in MEMBERS}  # fmt: skip
        assert len(links) == 1, kind
    for kind in ("pid", "mnt"):
        links = {containerd.exec(name, "readlink", f"/proc/self/ns/{kind}").out
                 for name in ("one", "two")}  # fmt: skip
        assert len(links) == 2, kind


@pytest.mark.usefixtures("pod")
def test_they_meet_on_the_loopback(containerd: Containerd) -> None:
    containerd.exec("one", "nc", "-ll", "-p", "4321", "-e", "echo", "hello", flags=("-d",))
    wait_for(lambda: "hello" in containerd.exec("two", "nc", "127.0.0.1", "4321").out,
             containerd.log)  # fmt: skip


@pytest.mark.nightly
def test_a_member_comes_cheaper_than_the_machine(pod: dict[str, float]) -> None:
    assert pod["two"] < pod["pause"]


@pytest.mark.usefixtures("pod")
def test_a_member_ends_and_another_comes(containerd: Containerd) -> None:
    """Called the same, at once."""
    pause = containerd.tasks()["pause"][0]
    for status in range(3, 9):
        script = ("sh", "-c", f"exit {status}")
        answer = containerd.run("short", *script, flags=_flags("container", pause))
        assert answer.code == status, answer.err
    assert {containerd.tasks()[name][1] for name in MEMBERS} == {"RUNNING"}


@pytest.mark.usefixtures("pod")
def test_a_member_needs_this_runtime(containerd: Containerd) -> None:
    """runc's shim would look for a group of its own, and ours for a machine that is not there."""
    flags = ("--annotation", "io.kubernetes.cri.sandbox-id=nobody")
    refused = containerd.run("lost", "true", flags=flags)
    assert refused.code == 1
    assert "machine nobody is not running here" in refused.err


def test_the_pod_ends_with_its_pause(containerd: Containerd) -> None:
    """Its members are reported killed; deleting them in any order leaves nothing."""
    with ExitStack() as stack:
        flags = _flags("sandbox")
        annotation = "io.kubernetes.cri.sandbox-id"
        alone = tuple(word.replace(f"{annotation}=pause", f"{annotation}=p") for word in flags)
        stack.enter_context(containerd.detached("p", "exec sleep 10000", flags=alone))
        pid = containerd.tasks()["p"][0]
        member = tuple(
            word.replace(f"{annotation}=pause", f"{annotation}=p")
            for word in _flags("container", pid)
        )
        stack.enter_context(containerd.detached("m", "exec sleep 10000", flags=member))
        containerd.ok("tasks", "kill", "-s", "SIGKILL", "p")
        containerd.ok("tasks", "kill", "-s", "SIGKILL", "m")
        containerd.wait_task("m", "STOPPED")
        containerd.wait_task("p", "STOPPED")
        assert containerd.deleted("p") == 137
        assert containerd.deleted("m") == 137
