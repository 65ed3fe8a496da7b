"""A container's life under podman: made, watched, entered, stopped, made again."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.podman import IMAGE, Podman, wait_until
from tests.support.screen import look_round, use_shell

STOPS = "trap 'echo stopping; exit 3' TERM; echo ready; while :; do sleep 0.1; done"


def _ready(podman: Podman, name: str) -> None:
    wait_until(lambda: "ready" in podman.ok("logs", name))


def test_detached_logs_stop_and_remove(podman: Podman) -> None:
    with podman.running("--name=life", script=STOPS) as made:
        _ready(podman, "life")
        assert made in podman.ok("ps", "--no-trunc", "--quiet")
        assert podman.ok("stop", "life") == "life"
        found = podman.inspected("life")["State"]
        assert (found["Status"], found["ExitCode"], found["OOMKilled"]) == ("exited", 3, False)
        assert podman.ok("logs", "life").splitlines() == ["ready", "stopping"]
        assert podman.ok("wait", "life") == "3"
        podman.ok("start", "life")
        wait_until(lambda: podman.ok("logs", "life").count("ready") == 2)
        podman.ok("kill", "--signal=TERM", "life")
        assert podman.ok("wait", "life") == "3"
        podman.ok("restart", "life")
        wait_until(lambda: podman.ok("logs", "life").count("ready") == 3)
        podman.ok("kill", "life")
        assert podman.ok("wait", "life") == "137"
        assert podman.ok("rm", "life") in {"life", made}
        assert podman.run("rm", "life").code != 0


def test_a_program_that_does_not_stop_is_killed(podman: Podman) -> None:
    with podman.running(script="trap '' TERM; echo ready; while :; do sleep 1; done") as made:
        _ready(podman, made)
        podman.ok("stop", "--time=1", made)
        assert podman.inspected(made)["State"]["ExitCode"] == 137


def test_a_program_that_ends_by_itself(podman: Podman) -> None:
    """The exit command runs: podman knows without being asked."""
    with podman.running("--restart=no", script="exit 5") as made:
        wait_until(lambda: podman.inspected(made)["State"]["Status"] == "exited")
        assert podman.inspected(made)["State"]["ExitCode"] == 5


def test_restart_on_failure(podman: Podman) -> None:
    script = "echo once >>/count; exit 9"
    with podman.running("--restart=on-failure:2", script=script) as made:
        wait_until(lambda: podman.inspected(made)["RestartCount"] == 2)
        wait_until(lambda: podman.inspected(made)["State"]["Status"] == "exited")
        podman.ok("cp", f"{made}:/count", str(podman.directory / "count"))
        assert (podman.directory / "count").read_text() == "once\n" * 3


@pytest.mark.parametrize(
    "policy", ["always", pytest.param("unless-stopped", marks=pytest.mark.nightly)]
)
def test_restart_until_it_is_stopped(podman: Podman, policy: str) -> None:
    script = "trap 'exit 0' TERM; echo ready; [ -e /stay ] || { touch /stay; exit 3; }; "
    loop = "while :; do sleep 0.1; done"
    with podman.running(f"--restart={policy}", script=script + loop) as made:
        wait_until(lambda: podman.ok("logs", made).count("ready") == 2)
        podman.ok("stop", made)
        state = podman.inspected(made)
        assert (state["State"]["Status"], state["State"]["ExitCode"]) == ("exited", 0)
        assert state["RestartCount"] == 1


def test_exec(podman: Podman, box: str) -> None:
    assert podman.ok("exec", box, "sh", "-c", "echo out; echo err >&2") == "out"
    assert podman.run("exec", box, "sh", "-c", "exit 9").code == 9
    assert podman.run("exec", box, "sh", "-c", "kill -9 $$").code == 137
    assert podman.ok("exec", "-i", box, "cat", stdin=b"through\n") == "through"
    flags = ("--user=1234", "--env=WORD=x y", "--workdir=/tmp")
    assert (
        podman.ok("exec", *flags, box, "sh", "-c", 'id -u; echo "$WORD"; pwd') == "1234\nx y\n/tmp"
    )
    assert podman.run("exec", box, "nothing").code == 127
    assert podman.run("exec", box, "/etc").code == 126


def test_exec_detached(podman: Podman, box: str) -> None:
    podman.ok("exec", "--detach", box, "sh", "-c", "echo done >/tmp/detached")
    wait_until(lambda: podman.run("exec", box, "cat", "/tmp/detached").out == "done\n")


def test_exec_on_a_terminal(podman: Podman, box: str) -> None:
    with podman.on_a_screen("exec", "-it", box, "sh") as screen:
        look_round(screen)


def test_run_on_a_terminal(podman: Podman) -> None:
    words = ("run", "--rm", "-it", "--network=none", "--name=screen", IMAGE, "sh")
    with podman.on_a_screen(*words) as screen:
        use_shell(screen)


def test_attach_and_detach(podman: Podman) -> None:
    with podman.running("-it", script="echo ready; while read x; do echo got $x; done") as made:
        _ready(podman, made)
        with podman.on_a_screen("attach", made) as screen:
            screen.type(b"one\n")
            screen.expect(b"got one")
            for key in (b"\x10", b"\x11"):  # podman 4 wants each by itself
                screen.type(key)
                time.sleep(0.5)
            assert screen.wait() == 0
        with podman.on_a_screen("attach", made) as screen:
            screen.type(b"two\n")
            screen.expect(b"got two")
            screen.type(b"\x04")
            assert screen.wait() == 0
        assert podman.ok("wait", made) == "0"


def test_pause_and_unpause(podman: Podman) -> None:
    script = "i=0; while :; do i=$((i+1)); echo $i >/tick; sleep 0.1; done"
    with podman.running(script=script) as made:
        podman.ok("pause", made)
        assert podman.inspected(made)["State"]["Status"] == "paused"
        assert podman.run("exec", made, "true").code != 0
        podman.ok("unpause", made)
        before = podman.ok("exec", made, "cat", "/tick")
        wait_until(lambda: podman.ok("exec", made, "cat", "/tick") != before)


def test_healthcheck(podman: Podman) -> None:
    flags = ("--health-cmd=test -e /healthy", "--health-interval=disable", "--health-retries=1")
    with podman.running(*flags) as made:
        assert podman.run("healthcheck", "run", made).code == 1
        podman.ok("exec", made, "touch", "/healthy")
        assert podman.run("healthcheck", "run", made).code == 0
        assert podman.inspected(made)["State"]["Health"]["Status"] == "healthy"


def test_inspect_names_the_runtime(podman: Podman, box: str) -> None:
    found = podman.inspected(box)
    assert found["OCIRuntime"] == "enclos"
    assert found["State"]["Status"] == "running"
    assert found["State"]["Pid"] > 0


def test_both_names_are_registered(podman: Podman) -> None:
    info: dict[str, Any] = json.loads(podman.ok("info", "--format=json"))
    runtime = info["host"]["ociRuntime"]
    assert runtime["name"] == "enclos"
    assert "enclos-oci version" in runtime["version"]


@dataclass(frozen=True, slots=True)
class _Held:
    """What an exec could leave behind, on the host and in the guest."""

    descriptors: int
    memory_kib: int
    host_processes: int
    guest_processes: int


def _held(podman: Podman, name: str) -> _Held:
    record = podman.state_root / "sandboxes" / podman.inspected(name)["Id"] / "record.json"
    supervisor = Path("/proc") / str(json.loads(record.read_text())["supervisor_pid"])
    status = (supervisor / "status").read_text()
    return _Held(
        descriptors=len(list((supervisor / "fd").iterdir())),
        memory_kib=int(status.partition("VmRSS:")[2].split()[0]),
        host_processes=len(podman.ok("top", name, "hpid").splitlines()),
        guest_processes=len(podman.ok("exec", name, "ps").splitlines()),
    )


@pytest.mark.nightly
def test_two_hundred_execs_leave_nothing(podman: Podman, box: str) -> None:
    for number in range(10):
        podman.ok("exec", box, "echo", str(number))
    before = _held(podman, box)
    for number in range(200):
        assert podman.ok("exec", box, "echo", str(number)) == str(number)
    after = _held(podman, box)
    assert after.memory_kib - before.memory_kib < 4096
    assert replace(after, memory_kib=0) == replace(before, memory_kib=0)
