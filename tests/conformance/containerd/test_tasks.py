"""What `ctr tasks` does with a running task, and what it says of one in the wrong state."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

from enclos.linux.cgroup import layout
from enclos.linux.cgroup.layout import Mode
from tests.support import screen
from tests.support.containerd import IMAGE, RUNC, RUNTIME, Containerd, Event, wait_for

TRAPS: Final = "trap 'exit 3' TERM; trap 'exit 4' USR1; while :; do sleep 0.1; done"
BOTH: Final = (RUNC, RUNTIME)


def test_it_is_listed(containerd: Containerd, box: str) -> None:
    pid, status = containerd.tasks()[box]
    assert status == "RUNNING"
    assert Path(f"/proc/{pid}/root/bin/busybox").exists()
    rows = containerd.ok("tasks", "ps", box).splitlines()
    assert [row.split()[0] for row in rows] == ["PID", str(pid)]


def test_exec(containerd: Containerd, box: str) -> None:
    answer = containerd.exec(box, "sh", "-c", "echo out; echo err >&2; pwd; exit 9",
                             flags=("--cwd", "/tmp"))  # fmt: skip
    assert (answer.code, answer.out, answer.err) == (9, "out\n/tmp\n", "err\n")
    assert containerd.exec(box, "sh", "-c", "kill -9 $$").code == 137
    assert containerd.exec(box, "id", "-u", flags=("--user", "1234")).out == "1234\n"


def test_exec_of_what_is_not_there(containerd: Containerd, box: str) -> None:
    answer = containerd.exec(box, "no-such")
    assert answer.code == 1
    assert "executable file not found in $PATH" in answer.err
    assert containerd.exec(box, "true").code == 0


def test_exec_on_a_terminal(containerd: Containerd, box: str) -> None:
    words = containerd.command("tasks", "exec", "-t", "--exec-id", "shell", box, "sh")
    with screen.shown(words, dict(os.environ)) as terminal:
        terminal.expect(b"# ")
        terminal.type(b"stty size; tty\n")
        terminal.expect(b"33 101")
        terminal.expect(b"/dev/pts/")
        terminal.type(b"exit 4\n")
        assert terminal.wait() == 4


def test_pause_and_resume(containerd: Containerd, box: str) -> None:
    containerd.ok("tasks", "pause", box)
    try:
        assert containerd.tasks()[box][1] == "PAUSED"
        refused = containerd.exec(box, "true")
        assert refused.code == 1
        assert "paused" in refused.err
    finally:
        containerd.ok("tasks", "resume", box)
    assert containerd.tasks()[box][1] == "RUNNING"
    assert containerd.exec(box, "true").code == 0


def test_figures_are_the_guests(containerd: Containerd) -> None:
    script = "dd if=/dev/zero of=/dev/shm/x bs=1M count=40; sleep 10000"
    flags = ("--memory-limit", str(256 << 20))
    with containerd.detached("figures", script, flags=flags) as name:
        wait_for(lambda: _memory(containerd, name)[0] > 40 << 20, containerd.log)
        usage, limit = _memory(containerd, name)
        assert usage < 120 << 20
        assert limit == 256 << 20
        told = json.loads(containerd.ok("tasks", "metrics", "--format", "json", name))
        assert told["pids"]["current"] == 1


def _memory(containerd: Containerd, name: str) -> tuple[int, int]:
    """Used and allowed bytes, by the metrics of the host's version of control groups."""
    told = json.loads(containerd.ok("tasks", "metrics", "--format", "json", name))["memory"]
    if layout.detect().mode is Mode.UNIFIED:
        return told["usage"], told["usage_limit"]
    return told["usage"]["usage"], told["usage"]["limit"]


def test_signals_and_states(containerd: Containerd) -> None:
    """The same words to both runtimes have the same effect."""
    seen = [_life(containerd, runtime) for runtime in BOTH]
    assert seen[1] == seen[0]


def _life(containerd: Containerd, runtime: str) -> list[object]:
    seen: list[object] = []
    with containerd.detached("life", TRAPS, runtime=runtime) as name:
        wait_for(lambda: _traps(containerd, name), containerd.log)
        for words in (("delete", name), ("start", name), ("kill", "-s", "0", name)):
            seen.append(containerd("tasks", *words).code)
        containerd.ok("tasks", "kill", "--signal", "SIGUSR1", name)
        containerd.wait_task(name, "STOPPED")
        seen.append(containerd.exec(name, "true").code)
        seen += [containerd("tasks", verb, name).code for verb in ("kill", "pause")]
        seen.append(containerd("tasks", "delete", name).code)
        seen.append(containerd("tasks", "delete", name).code)
        seen.append(containerd.tasks())
    return seen


def _traps(containerd: Containerd, name: str) -> bool:
    """Whether the shell has come to its loop."""
    return "sleep" in containerd.exec(name, "ps").out


def test_a_task_is_started_again(containerd: Containerd) -> None:
    """A container's next task has a machine of its own, and the file system of the one before."""
    log = containerd.place / "log"
    before = log.stat().st_size
    containerd.ok("containers", "create", "--runtime", RUNTIME, IMAGE, "again", "mkdir", "/made")
    try:
        assert containerd("tasks", "start", "again").code == 0
        containerd("tasks", "delete", "again")
        second = containerd("tasks", "start", "again")
        assert second.code == 1
        assert "File exists" in second.err
    finally:
        containerd.remove("again")
    assert b"the sandbox is lost" not in log.read_bytes()[before:]


def test_attach(containerd: Containerd) -> None:
    with containerd.detached("heard", "sleep 3; echo heard; exit 6") as name:
        answer = containerd("tasks", "attach", name)
        assert (answer.code, answer.out) == (6, "heard\n")


def test_memory_runs_out(containerd: Containerd) -> None:
    """The container is killed, and an event says why: of ours before its delete, always."""
    words, flags = ("sh", "-c", "exec tail /dev/zero"), ("--memory-limit", str(48 << 20))
    assert containerd.run("greedy", *words, runtime=RUNC, flags=flags).code == 137
    with containerd.events() as events:
        assert containerd.run("greedy", *words, flags=flags).code == 137
        wait_for(lambda: "/tasks/delete" in _topics(events("greedy")), containerd.log)
        assert "/tasks/oom" in _topics(events("greedy"))


def _topics(events: list[Event]) -> list[str]:
    return [event.topic for event in events]
