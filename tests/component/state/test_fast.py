"""The fast answer in a process of its own: what it imports, and that it believes the kernel."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

import pytest

from enclos.linux import pid, process
from enclos.state import records, store
from enclos.state.records import ContainerRecord, SandboxRecord
from enclos.state.store import StateRoot

SOURCE: Final = Path(store.__file__).parents[2]
MODULES: Final = {
    "__future__",
    "enclos",
    "enclos.errors",
    "enclos.state",
    "enclos.state.fast",
    "errno",
}
"""All that `render` may bring in on top of `os` and `sys`; `errno` is built in."""


def _python(code: str, *arguments: str) -> bytes:
    prelude = f"import os, sys; before = set(sys.modules); sys.path.insert(0, {str(SOURCE)!r})\n"
    return process.run([sys.executable, "-I", "-S", "-c", prelude + code, *arguments]).stdout


def test_nothing_but_itself_and_the_errors_is_imported() -> None:
    code = "from enclos.state import fast; print(*sorted(set(sys.modules) - before))"
    assert set(_python(code).decode().split()) <= MODULES


@pytest.mark.parametrize("victim", ["stand-in", "supervisor"])
def test_a_killed_process_is_noticed_without_anybody_writing(tmp_path: Path, victim: str) -> None:
    root = StateRoot(tmp_path)
    code = "from enclos.state import fast; sys.stdout.buffer.write(fast.render(*sys.argv[1:]))"

    def status() -> str:
        answer = json.loads(_python(code, str(tmp_path), "c1"))
        assert bool(answer["pid"]) == (answer["status"] != "stopped")
        return str(answer["status"])

    with process.running(["sleep", "60"]) as first, process.running(["sleep", "60"]) as second:
        standin, supervisor = pid.ref(first.pid), pid.ref(second.pid)
        store.reserve_sandbox(root, "s1")
        records.save_sandbox(
            root,
            SandboxRecord(
                id="s1",
                supervisor_pid=supervisor.pid,
                supervisor_start=supervisor.start,
                created=records.now(),
                accelerator="tcg",
                template="",
                vcpus=1,
                memory_bytes=1,
                kernel="",
            ),
        )
        store.reserve(root, "c1")
        record = ContainerRecord(
            id="c1",
            sandbox_id="s1",
            bundle="/b",
            rootfs="/r",
            created=records.now(),
            pid=standin.pid,
            pid_start=standin.start,
            status="running",
        )
        records.save_container(root, record)
        assert status() == "running"
        (first if victim == "stand-in" else second).kill()
        (first if victim == "stand-in" else second).wait()
        assert status() == "stopped"
        assert records.current_status(record, supervisor) == "stopped"
