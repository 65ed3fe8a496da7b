"""The tally of the tiers says no when a tier ran nothing, was cut off, or failed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.repo import tree

GOOD = (
    '<testsuites><testsuite tests="3" failures="0" errors="0" skipped="1" time="2.5"/></testsuites>'
)


def _tally(folder: Path, *names: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, str(tree.ROOT / "packaging" / "tally.py"), str(folder), *names]
    return subprocess.run(argv, capture_output=True, text=True, timeout=30)


def test_the_closing_line_adds_up(tmp_path: Path) -> None:
    (tmp_path / "unit.xml").write_text(GOOD)
    (tmp_path / "vm.xml").write_text(GOOD)
    done = _tally(tmp_path, "unit", "vm")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "4 passed, 0 failed, 2 skipped"


@pytest.mark.parametrize(
    "report",
    [
        pytest.param(None, id="missing"),
        pytest.param(GOOD[:30], id="cut-off"),
        pytest.param(GOOD.replace('tests="3"', 'tests="1"'), id="all-skipped"),
        pytest.param(GOOD.replace('failures="0"', 'failures="1"'), id="a-failure"),
        pytest.param(GOOD.replace('errors="0"', 'errors="1"'), id="an-error"),
    ],
)
def test_a_tier_that_is_not_fine_fails(tmp_path: Path, report: str | None) -> None:
    (tmp_path / "unit.xml").write_text(GOOD)
    if report is not None:
        (tmp_path / "vm.xml").write_text(report)
    assert _tally(tmp_path, "unit", "vm").returncode == 1


def test_no_tier_at_all_fails(tmp_path: Path) -> None:
    assert _tally(tmp_path).returncode == 1
