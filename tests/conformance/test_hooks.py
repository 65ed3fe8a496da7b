"""Hooks: each at its moment, in its namespaces, with the state on its stdin; here and with crun.

runc 1.1 runs `poststart` hooks before the program (docs/differences.md).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from tests.conformance.answers import Answer
from tests.conformance.conftest import Side
from tests.conformance.rows import at

RUNTIMES: Final = ("prestart", "createRuntime", "poststart", "poststop")
CONTAINERS: Final = ("createContainer", "startContainer")
ROOT: Final = "exe=$(busybox readlink /proc/self/exe); root=${exe%/bin/busybox}"


def _on_host(log: Path, moment: str) -> dict[str, Any]:
    script = f'read -r state || :; echo "$0 {moment} $A $(pwd) $state" >>{log}'
    return {"path": "/bin/sh", "args": ["sh", "-c", script, "named"], "env": ["A=b"]}


def _lives(side: Side, hooks: dict[str, Any], script: str) -> tuple[Path, list[Answer]]:
    """Create, start and delete; the bundle and the answers."""
    name = side.name()
    bundle = side.bundle(name, script, at("hooks", hooks))
    calls = (("create", "--bundle", str(bundle), name), ("start", name),
             ("delete", "--force", name))  # fmt: skip
    return bundle, [side.runtime.call(*call, scratch=bundle) for call in calls]


def _peer(others: Mapping[str, Side]) -> Side:
    if "crun" not in others:
        pytest.skip("no crun on this host")
    return others["crun"]


def test_hooks_of_the_runtime(pod: Side, others: Mapping[str, Side], tmp_path: Path) -> None:
    seen: list[list[list[str]]] = []
    for side in (pod, _peer(others)):
        log = tmp_path / side.runtime.name
        hooks = {moment: [_on_host(log, moment)] for moment in RUNTIMES}
        bundle, told = _lives(side, hooks, "exec sleep 1000")
        assert [one.code for one in told] == [0, 0, 0], told
        lines = [line.split(" ", 4) for line in log.read_text().splitlines()]
        seen.append([line[:3] for line in lines])
        for _, moment, _, where, state in lines:
            found = json.loads(state)
            assert found["bundle"] == str(bundle)
            assert Path(where) == bundle or side is not pod, moment
            assert found["status"] in {"creating", "created", "running", "stopped"}, moment
    assert seen[0] == seen[1]


def test_hooks_of_the_container_run_in_the_guest(
    pod: Side, others: Mapping[str, Side], tmp_path: Path
) -> None:
    """Before the root is entered, and after: by then `/` is the container's own."""
    for side in (pod, _peer(others)):
        name = side.name()
        root = side.directory / name / "rootfs"
        create = f'{ROOT}; echo "create $(busybox uname -r)" >>$root/log'
        start = 'echo "start $(busybox uname -r)" >>/log'
        hooks = {
            "createContainer": [{"path": f"{root}/bin/busybox", "args": ["sh", "-c", create]}],
            "startContainer": [{"path": "/bin/busybox", "args": ["sh", "-c", start]}],
        }
        bundle = side.bundle(name, "busybox uname -r >>/log; cat /log", at("hooks", hooks))
        answer = side.runtime.call("run", "--bundle", str(bundle), name, scratch=bundle)
        assert answer.code == 0, answer
        created, started, own = answer.out.splitlines()
        assert (created, started) == (f"create {own}", f"start {own}")


@pytest.mark.parametrize("moment", [*RUNTIMES, *CONTAINERS])
def test_a_hook_that_fails(
    pod: Side, others: Mapping[str, Side], tmp_path: Path, moment: str
) -> None:
    """What fails before the program runs makes the operation fail, and nothing is left of it."""
    path = "/bin/false" if moment != "startContainer" else "/bin/busybox"
    hooks = {moment: [{"path": path, "args": ["false"]}]}
    _, ours = _lives(pod, hooks, "exec sleep 1000")
    _, theirs = _lives(_peer(others), hooks, "exec sleep 1000")
    failed = [[bool(one.code) for one in told] for told in (ours, theirs)]
    wanted = {"poststop": [False, False], "poststart": [False, True], "startContainer": [False]}
    assert failed[0][:2] == wanted.get(moment, [True, True]) or moment == "startContainer", ours
    if moment != "poststart":  # the specification has changed its mind since crun 1.8
        assert failed[0] == failed[1], (ours, theirs)


def test_a_hook_is_given_its_time(pod: Side, others: Mapping[str, Side]) -> None:
    hooks = {"prestart": [{"path": "/bin/sleep", "args": ["sleep", "100"], "timeout": 1}]}
    for side in (pod, _peer(others)):
        _, told = _lives(side, hooks, "true")
        assert told[0].code == 1, told
