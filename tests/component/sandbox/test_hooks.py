"""Hooks as programs of the host: their name, their input, their failure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from enclos.errors import MachineFailed
from enclos.oci.types import Hook, Hooks, Spec
from enclos.sandbox import hooks
from enclos.state.records import ContainerRecord
from tests.support.bundles import busybox

RECORD = ContainerRecord(
    id="c1", sandbox_id="c1", bundle="/b", rootfs="/b/rootfs", created="", annotations={}, owner="",
    oci_version="1.0.2", terminal=False,
)  # fmt: skip


def spec(*args: str) -> Spec:
    return Spec("1.0.2", hooks=Hooks(prestart=(Hook(path=str(busybox()), args=args),)))


def test_a_program_is_called_by_the_name_its_arguments_begin_with(tmp_path: Path) -> None:
    wanted = tmp_path / "there"
    hooks.run(spec("touch", str(wanted)), ("prestart",), RECORD, status="creating")
    assert wanted.exists()


def test_the_state_is_its_input(tmp_path: Path) -> None:
    wanted = tmp_path / "state"
    script = f"cat >{wanted}"
    hooks.run(spec("sh", "-c", script), ("prestart",), RECORD, status="creating")
    state = json.loads(wanted.read_text())
    assert (state["id"], state["status"], state["bundle"]) == ("c1", "creating", "/b")


def test_a_failure_names_the_hook() -> None:
    with pytest.raises(MachineFailed, match=r"prestart hook .*busybox failed"):
        hooks.run(spec("false"), ("prestart",), RECORD, status="creating")
