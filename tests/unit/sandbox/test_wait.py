"""How a container ended, by a record that a leaving supervisor has yet to write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from enclos.sandbox import reach, wait
from enclos.state.store import StateRoot


def test_a_record_that_is_about_to_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: Iterator[int | None] = iter((None, None, 4))

    def container(_root: StateRoot, _name: str) -> tuple[SimpleNamespace, str]:
        return SimpleNamespace(exit_status=next(seen), exit_reason=""), "running"

    monkeypatch.setattr(reach, "container", container)
    assert wait.recorded(StateRoot(tmp_path), "x").status == 4
