"""Listings for programs: every one as JSON, every one that has ids with `-q`."""

from __future__ import annotations

import json

import pytest

from tests.support.cli import Programs
from tests.vm.conftest import Keep


@pytest.fixture(scope="module")
def box(programs: Programs, keep: Keep) -> str:
    """A container to be listed, with a change to be listed as well."""
    made = keep("--name", "listed")
    programs.ok("exec", made, "touch", "/touched")
    return made


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        (("ps", "-a"), {"ID", "Image", "Command", "Names", "Status"}),
        (("images",), {"ID", "Repository", "Tag", "Size"}),
        (("stats", "--no-stream"), {"ID", "Name", "CPUPerc", "MemUsage", "PIDs"}),
        (("top", "listed"), {"PID", "Command"}),
        (("diff", "listed"), set[str]()),
        (("template", "list"), {"ID", "Touched"}),
        (("version",), {"Version"}),
        (("doctor",), set[str]()),
        (("assets", "path"), set[str]()),
    ],
)
def test_json(programs: Programs, box: str, words: tuple[str, ...], keys: set[str]) -> None:
    text = programs.enclos(*words, "--format", "json").out
    values = [json.loads(line) for line in text.splitlines()]
    rows = [row for value in values for row in (value if isinstance(value, list) else [value])]
    assert rows
    assert all(isinstance(row, dict) for row in rows)
    assert keys <= rows[0].keys()


@pytest.mark.parametrize("words", [("ps",), ("images",), ("template", "list")])
def test_quiet(programs: Programs, box: str, words: tuple[str, ...]) -> None:
    lines = programs.ok(*words, "-q").splitlines()
    assert lines
    assert all(line and " " not in line for line in lines)


def test_no_colour_and_no_escapes_in_pipes(programs: Programs, box: str) -> None:
    for words in (("ps", "-a"), ("images",), ("doctor",), ("stats", "--no-stream"), ("--help",)):
        assert "\x1b" not in programs.enclos(*words).out


def test_figures_are_sane(programs: Programs, box: str) -> None:
    usage = json.loads(programs.ok("stats", "--no-stream", "--format", "json", box))
    assert usage["Name"] == "listed"
    assert int(usage["PIDs"]) >= 1
    (found,) = json.loads(programs.ok("inspect", box))
    assert found["State"]["Status"] == "running"
    assert found["Id"] == box
