"""The life of a container by `enclos`: every verb, on one that was left running."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.support.cli import Programs

LOOP = "i=0; while true; do i=$((i+1)); echo out $i; echo err $i >&2; sleep 0.5; done"


@pytest.fixture
def loop(programs: Programs) -> Iterator[str]:
    """The name of a container that writes twice a second."""
    programs.ok(
        "run", "-d", "--name", "loop", "-l", "kind=test", "-m", "200M",
        "enclos/demo", "sh", "-c", LOOP,
    )  # fmt: skip
    yield "loop"
    programs.enclos("rm", "-f", "loop")


def test_create_start_wait_logs_rm(programs: Programs) -> None:
    script = "echo hello; echo problem >&2; exit 4"
    made = programs.ok("create", "--name", "once", "enclos/demo", "sh", "-c", script).strip()
    try:
        assert programs.ok("ps", "-a", "--format", "{{.Names}} {{.State}}") == "once created\n"
        assert programs.enclos("wait", "once").code == 125
        assert programs.ok("start", "once") == "once\n"
        assert programs.ok("wait", made[:12]) == "4\n"
        answer = programs.enclos("logs", "once")
        assert (answer.out, answer.err) == ("hello\n", "problem\n")
        answer = programs.enclos("start", "-a", "once")
        assert (answer.code, answer.out, answer.err) == (4, "hello\n", "problem\n")
        assert programs.ok("logs", "once").splitlines() == ["hello"] * 2
        assert "Exited (4)" in programs.ok("ps", "-a")
    finally:
        programs.ok("rm", "once")
    assert programs.enclos("inspect", "once").code == 125


def test_what_is_written_survives_a_restart(programs: Programs, loop: str) -> None:
    programs.ok("exec", loop, "sh", "-c", "echo kept > /kept")
    assert programs.ok("restart", "-t", "0", loop) == f"{loop}\n"
    assert programs.ok("exec", loop, "cat", "/kept") == "kept\n"


def test_listings(programs: Programs, loop: str) -> None:
    header, row = programs.ok("ps").splitlines()
    assert header.split() == [
        "CONTAINER",
        "ID",
        "IMAGE",
        "COMMAND",
        "CREATED",
        "STATUS",
        "PORTS",
        "NAMES",
    ]
    assert row.endswith("loop")
    found = json.loads(programs.ok("ps", "--format", "json"))
    assert found["Image"] == "enclos/demo:latest"
    assert found["Labels"] == "kind=test"
    assert programs.ok("ps", "-q").strip() == found["ID"]
    assert programs.ok("ps", "-q", "--filter", "label=kind=other") == ""
    assert programs.ok("ps", "--no-trunc", "-q").strip().startswith(found["ID"])
    images = json.loads(programs.ok("images", "enclos/demo", "--format", "json"))
    assert (images["Repository"], images["Tag"]) == ("enclos/demo", "latest")


def test_inspect_tells_the_machine(programs: Programs, loop: str) -> None:
    (found,) = json.loads(programs.ok("inspect", loop))
    assert found["Name"] == "/loop"
    assert found["State"]["Running"] is True
    assert found["HostConfig"]["Memory"] == 200 << 20
    assert found["Config"]["Labels"] == {"kind": "test"}
    sandbox = found["Sandbox"]
    assert sandbox["Accelerator"] in {"kvm", "tcg"}
    assert sandbox["Isolation"]
    assert sandbox["MemoryBytes"] >= 200 << 20
    assert sandbox["PhasesMs"]["container started"] > 0
    pid = int(programs.ok("inspect", "-f", "{{.State.Pid}}", loop))
    assert "busybox" in os.listdir(f"/proc/{pid}/root/bin")


def test_exec(programs: Programs, loop: str) -> None:
    answer = programs.enclos("exec", loop, "sh", "-c", "echo in; exit 3")
    assert (answer.code, answer.out) == (3, "in\n")
    assert programs.ok("exec", "-i", loop, "cat", stdin=b"through") == "through"
    script = "echo $A; pwd; id -u; id -g"
    out = programs.ok("exec", "-e", "A=b", "-w", "/usr", "-u", "7:8", loop, "sh", "-c", script)
    assert out.split() == ["b", "/usr", "7", "8"]
    assert programs.ok("exec", "-u", "nobody", loop, "id", "-un") == "nobody\n"
    assert programs.enclos("exec", loop, "no-such-program").code == 127
    assert programs.enclos("exec", loop, "/etc/passwd").code == 126
    assert programs.enclos("exec", "-u", "stranger", loop, "id").code == 125
    programs.ok("exec", "-d", loop, "sh", "-c", "sleep 0.3; touch /detached")
    deadline = time.monotonic() + 30
    while programs.enclos("exec", loop, "test", "-e", "/detached").code:
        assert time.monotonic() < deadline


def test_pause_top_stats_update(programs: Programs, loop: str) -> None:
    programs.ok("pause", loop)
    assert "(Paused)" in programs.ok("ps")
    assert programs.enclos("pause", loop).code == 125
    assert programs.enclos("exec", loop, "true").code == 125
    programs.ok("unpause", loop)
    assert programs.enclos("unpause", loop).code == 125
    header, first, *_ = programs.ok("top", loop).splitlines()
    assert header.split() == ["UID", "PID", "PPID", "S", "TTY", "TIME", "CMD"]
    assert "while true" in first
    programs.ok("update", "-m", "150M", "--pids-limit", "60", loop)
    usage = json.loads(programs.ok("stats", "--no-stream", "--format", "json", loop))
    assert usage["MemUsage"].endswith("/ 150MiB")
    assert 0 < usage["PIDs"] < 60
    assert programs.ok("exec", loop, "cat", "/sys/fs/cgroup/pids.max").strip() == "60"
    programs.ok("restart", "-t", "0", loop)
    limit = programs.ok("exec", loop, "cat", "/sys/fs/cgroup/memory.max").strip()
    assert limit == str(150 << 20)


def test_stop_kill_and_their_statuses(programs: Programs, loop: str) -> None:
    begun = time.monotonic()
    assert programs.ok("stop", "-t", "1", loop) == f"{loop}\n"
    assert time.monotonic() - begun < 20
    assert programs.ok("wait", loop) == "137\n"
    assert programs.ok("stop", loop) == f"{loop}\n"
    assert programs.enclos("kill", loop).code == 125
    programs.ok("start", loop)
    assert programs.enclos("rm", loop).code == 125
    assert programs.enclos("kill", "-s", "NOPE", loop).code == 125
    programs.ok("kill", "-s", "9", loop)
    assert programs.ok("wait", loop) == "137\n"
    programs.ok("rm", loop)


def test_a_stop_signal_of_ones_own(programs: Programs) -> None:
    script = "trap 'exit 9' USR1; touch /up; while true; do sleep 0.1; done"
    words = ("run", "-d", "--name", "polite", "--stop-signal", "USR1", "enclos/demo")
    programs.ok(*words, "sh", "-c", script)
    try:
        while programs.enclos("exec", "polite", "test", "-e", "/up").code:
            time.sleep(0.1)
        programs.ok("stop", "polite")
        assert programs.ok("wait", "polite") == "9\n"
    finally:
        programs.ok("rm", "-f", "polite")


def test_logs(programs: Programs, loop: str) -> None:
    follower = programs.start("logs", "-f", loop)
    time.sleep(2)
    answer = programs.enclos("logs", "--tail", "2", loop)
    assert len(answer.out.splitlines()) + len(answer.err.splitlines()) == 2
    stamped = programs.ok("logs", "-t", loop).splitlines()
    assert all(line[4] == "-" and " out " in line for line in stamped)
    assert programs.ok("logs", "--since", "2999-01-01", loop) == ""
    programs.ok("stop", "-t", "0", loop)
    out, err = follower.communicate(timeout=60)
    assert follower.returncode == 0
    whole = programs.enclos("logs", loop)
    assert (out.decode(), err.decode()) == (whole.out, whole.err)


def test_events(programs: Programs) -> None:
    watch = programs.start("events", "--filter", "container=seen", "--format", "{{.Action}}")
    time.sleep(1)
    programs.enclos("run", "--name", "seen", "enclos/demo", "false")
    programs.ok("rm", "seen")
    time.sleep(1)
    watch.terminate()
    out, _ = watch.communicate(timeout=20)
    assert out.decode().split() == ["create", "start", "die", "destroy"]


def test_attach_to_output(programs: Programs, loop: str) -> None:
    watcher = subprocess.Popen(
        programs.command("attach", "--sig-proxy=false", loop),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=programs.environment,
    )  # fmt: skip
    assert watcher.stdout is not None
    assert watcher.stdout.readline().startswith(b"out ")
    watcher.terminate()
    watcher.communicate(timeout=20)
    assert "Up" in programs.ok("ps")


def test_rename(programs: Programs, loop: str) -> None:
    programs.ok("rename", loop, "other")
    assert programs.ok("ps", "--format", "{{.Names}}") == "other\n"
    programs.ok("rename", "other", loop)


def test_engines_containers_are_listed(programs: Programs) -> None:
    """What enclos-oci makes in the same state root is seen, but not touched."""
    programs.ok("run", "-d", "--name", "ours", "enclos/demo", "sleep", "100")
    try:
        listed = json.loads(programs.oci("list", "--format", "json").out)
        assert [one["status"] for one in listed] == ["running"]
    finally:
        programs.ok("rm", "-f", "ours")
