"""Events come in the order in which runc's shim sends them: containerd's clients rely on it."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from tests.support import waiting
from tests.support.containerd import RUNC, RUNTIME, Containerd, Event, wait_for

SCRIPT: Final = "trap 'exit 5' TERM; while :; do sleep 0.1; done"
_LIVES: Final = 8
_PATIENCE_S: Final = 10


def test_the_life_of_a_task(containerd: Containerd) -> None:
    ours = _told(containerd, RUNTIME)
    theirs = _told_by_runc(containerd)
    assert [_key(event) for event in ours] == [_key(event) for event in theirs]
    assert [sorted(event.fields) for event in ours] == [sorted(event.fields) for event in theirs]


def _told_by_runc(containerd: Containerd) -> list[Event]:
    """One time in four its shim of containerd 2 goes before its last event: another life then."""
    for _ in range(_LIVES - 1):
        with suppress(AssertionError):
            return _told(containerd, RUNC, patience_s=_PATIENCE_S)
    return _told(containerd, RUNC)


def _told(
    containerd: Containerd, runtime: str, *, patience_s: float = waiting.LIMIT_S
) -> list[Event]:
    """Created, entered, paused, resumed, ended, removed; each step after the one before."""
    with containerd.events() as events:
        with containerd.detached("told", SCRIPT, runtime=runtime) as name:
            wait_for(lambda: "sleep" in containerd.exec(name, "ps").out, containerd.log)
            containerd.exec(name, "sh", "-c", "exit 9")
            containerd.ok("tasks", "pause", name)
            containerd.ok("tasks", "resume", name)
            containerd.ok("tasks", "kill", name)
            containerd.wait_task(name, "STOPPED")
        wait_for(
            lambda: events("told")[-1].topic == "/tasks/delete",
            containerd.log,
            timeout_s=patience_s,
        )
        found = events("told")
    looks = [event for event in found if event.fields.get("exec_id") or _is_of_exec(event)]
    last = [event for event in looks if event.topic == "/tasks/exit"][-1].fields["id"]
    return [event for event in found if event not in looks or last in event.fields.values()]


def _is_of_exec(event: Event) -> bool:
    name = event.fields.get("id")
    return name is not None and name != event.fields["container_id"]


def _key(event: Event) -> tuple[str, bool, int]:
    return event.topic, _is_of_exec(event), event.fields.get("exit_status", 0)
