"""The lines that `--log` asks for, as engines read them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.conformance.conftest import Side


def _logged(side: Side, form: str, scratch: Path) -> str:
    log = scratch / f"{side.runtime.name}.{form}"
    words = ("--log", str(log), "--log-format", form, "delete", "nobody")
    assert side.runtime.call(*words, scratch=scratch).code == 1
    return log.read_text()


def test_json(pod: Side, others: Mapping[str, Side], tmp_path: Path) -> None:
    """The last entry whose level is `error` is what containerd's shim shows."""
    if "runc" not in others:
        pytest.skip("no runc on this host")
    seen: list[set[str]] = []
    for side in (pod, others["runc"]):
        entry = json.loads(_logged(side, "json", tmp_path).splitlines()[-1])
        assert entry["level"] == "error"
        assert "container does not exist" in entry["msg"]
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", entry["time"])
        seen.append(set(entry))
    assert seen[0] == seen[1]


def test_text(pod: Side, others: Mapping[str, Side], tmp_path: Path) -> None:
    for side in (pod, *(side for name, side in others.items() if name == "runc")):
        last = _logged(side, "text", tmp_path).splitlines()[-1]
        assert re.fullmatch(r'time="[^"]+" level=error msg="?.*container does not exist.*', last)
