"""Listings as tables, JSON lines and templates."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclos.cli import gotemplate, output
from enclos.cli.output import Columns
from enclos.errors import InvalidRequest

COLUMNS = Columns({"ID": "CONTAINER ID", "Names": "NAMES", "Size": "SIZE"}, ("ID", "Names"))
ROWS = [{"ID": "1234", "Names": "web", "Size": 5}, {"ID": "5", "Names": "a\nb\x1b", "Size": 6}]


def test_a_table_lines_up_and_keeps_its_lines() -> None:
    assert output.rendered(ROWS, COLUMNS, "") == (
        "CONTAINER ID   NAMES\n1234           web\n5              a b\N{REPLACEMENT CHARACTER}\n"
    )


def test_an_empty_table_is_its_header() -> None:
    assert output.rendered([], COLUMNS, "table") == "CONTAINER ID   NAMES\n"


def test_json_is_an_object_a_line() -> None:
    lines = output.rendered(ROWS, COLUMNS, "json").splitlines()
    assert [json.loads(line) for line in lines] == ROWS
    assert output.rendered([], COLUMNS, "json") == ""


def test_templates() -> None:
    assert output.rendered(ROWS[:1], COLUMNS, "{{.Names}}-{{.Size}}") == "web-5\n"
    assert output.rendered(ROWS[:1], COLUMNS, r"table {{.ID}}\t{{.Size}}") == (
        "CONTAINER ID   SIZE\n1234           5\n"
    )


VALUE = {
    "State": {"Status": "running", "Pid": 7, "Ok": True},
    "Labels": {"a.b": "c"},
    "Names": ["x", "y"],
    "Empty": [],
    "None": None,
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("plain", "plain"),
        ("{{.State.Status}}", "running"),
        ("{{ .State.Pid }}", "7"),
        ("{{.State.Ok}}", "true"),
        ("{{json .Names}}", '["x","y"]'),
        ("{{json .}}", json.dumps(VALUE, separators=(",", ":"))),
        ('{{index .Labels "a.b"}}', "c"),
        ("{{index .Names 1}}", "y"),
        ('{{join .Names ", "}}', "x, y"),
        ("{{.State.Status | upper}}", "RUNNING"),
        ("{{len .Names}}", "2"),
        ("{{range .Names}}<{{.}}>{{end}}", "<x><y>"),
        ("{{range .Empty}}a{{else}}b{{end}}", "b"),
        ("{{if .Empty}}a{{else}}b{{end}}{{if .Names}}c{{end}}", "bc"),
        ("a {{- .State.Pid -}} b", "a7b"),
        ("{{.Labels}}", "map[a.b:c]"),
        ("{{.Names}}", "[x y]"),
        ("{{.None}}", "<no value>"),
        ('{{println "a" .State.Pid}}', "a 7\n"),
    ],
)
def test_go_templates(template: str, text: str) -> None:
    assert gotemplate.parse(template).render(VALUE) == text


@pytest.mark.parametrize(
    "template",
    ["{{.Nope}}", "{{", "{{foo .}}", "{{.State.Status.X}}", "{{end}}", "{{if .Names}}", "{{}}",
     "{{len 3}}", "{{join .Names}}", "{{(.Names)}}", "{{template \"x\"}}", "{{index .Names 9}}"],
)  # fmt: skip
def test_what_a_template_cannot_do_is_refused(template: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        gotemplate.parse(template).render(VALUE)
    assert caught.value.hint


@given(st.text(alphabet='{}. |"`abjsonIDifrangeend-()\\', max_size=40))
def test_any_template_is_rendered_or_refused(template: str) -> None:
    with contextlib.suppress(InvalidRequest):
        gotemplate.parse(template).render(VALUE)
