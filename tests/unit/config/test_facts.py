"""Facts about the host and the remembered verdict."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from enclos.config import facts


def test_the_host_is_described() -> None:
    host = facts.gather()
    assert host.kernel == os.uname().release
    assert host.cores >= 1
    assert host.memory_bytes > 1 << 20


def test_the_first_processor_names_the_model(tmp_path: Path) -> None:
    table = tmp_path / "cpuinfo"
    table.write_text("processor\t: 0\nmodel name\t: Abacus 9\n\nmodel name\t: Other\n")
    assert facts.cpu_model(table) == "Abacus 9"


def test_a_verdict_holds_for_its_key_only(tmp_path: Path) -> None:
    facts.remember(tmp_path, "key", usable=False, reason="no line on the console")
    found = facts.recall(tmp_path, "key")
    assert found is not None
    assert (found.usable, found.reason) == (False, "no line on the console")
    assert facts.recall(tmp_path, "other kernel") is None


def test_a_verdict_can_be_forgotten(tmp_path: Path) -> None:
    facts.remember(tmp_path, "key", usable=True, reason="")
    facts.forget(tmp_path)
    facts.forget(tmp_path)
    assert facts.recall(tmp_path, "key") is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"key": 3}', '{"key": {"usable": "yes"}}'])
def test_damaged_facts_are_no_facts(tmp_path: Path, text: str) -> None:
    (tmp_path / facts.FILE).write_text(text)
    assert facts.recall(tmp_path, "key") is None
