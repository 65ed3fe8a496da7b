"""Linter, formatter and both type checkers find nothing. A missing checker fails: it is pinned."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.repo import tree

MOST_LINES: Final = 60
"""How much of a checker's complaint is shown."""


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "argv",
    [
        pytest.param(["-m", "ruff", "check", "--output-format=concise", "."], id="ruff-check"),
        pytest.param(["-m", "ruff", "format", "--check", "."], id="ruff-format"),
        pytest.param(["-m", "mypy"], id="mypy"),
        pytest.param(["-m", "pyright", "--pythonpath", sys.executable], id="pyright"),
    ],
)
def test_checker_finds_nothing(argv: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, *argv], cwd=tree.ROOT, capture_output=True, text=True, timeout=280
    )
    if done.returncode != 0:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        pytest.fail("\n".join([*said[:MOST_LINES], *said[-1:]]), pytrace=False)


def test_programs_in_other_languages_are_well_formed() -> None:
    scripts = [path for path in _scripts() if _first_line(path).endswith(("bash", "sh"))]
    assert scripts, "no shell script found: .ci/run at least is one"
    for path in scripts:
        done = subprocess.run(["bash", "-n", path], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr


def _scripts() -> list[Path]:
    folders = (tree.ROOT / ".ci", tree.ROOT / "packaging")
    return [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]


def _first_line(path: Path) -> str:
    first = path.read_bytes().split(b"\n", 1)[0].decode("utf-8", "replace")
    return first if first.startswith("#!") else ""
