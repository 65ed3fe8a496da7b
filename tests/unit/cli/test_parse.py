"""docker's way of writing a command line, and what is said about a wrong one."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclos.cli import table
from enclos.cli.grammar import Flag, Verb
from enclos.cli.parse import Parsed, parse
from enclos.errors import InvalidRequest

RUN = Verb(
    "run", "run", "", "IMAGE [COMMAND]", 1, None, stops=True,
    flags=(
        Flag("interactive", "", short="i"), Flag("tty", "", short="t"), Flag("rm", ""),
        Flag("env", "", short="e", meta="NAME", many=True), Flag("name", "", meta="NAME"),
        Flag("pull", "", meta="WHEN", choices=("always", "never")),
    ),
)  # fmt: skip
PS = Verb("ps", "ps", "", flags=(Flag("all", "", short="a"),))


def run(*words: str) -> Parsed:
    return parse(RUN, words)


def test_flags_end_at_the_first_operand() -> None:
    parsed = run("--rm", "-it", "alpine", "sh", "--rm=false", "-c", "--", "x")
    assert parsed.operands == ("alpine", "sh", "--rm=false", "-c", "--", "x")
    assert parsed.on("rm")
    assert parsed.on("interactive")
    assert parsed.on("tty")


def test_values_follow_or_are_attached() -> None:
    parsed = run("-e", "A=1", "-eB=2", "-e=C=3", "--env=D=4", "--env", "E", "-ite", "F=", "x")
    assert parsed.texts("env") == ("A=1", "B=2", "C=3", "D=4", "E", "F=")


def test_the_last_of_single_values_counts() -> None:
    parsed = run("--name", "a", "--name=b", "x")
    assert parsed.text("name") == "b"
    assert parsed.given("name")
    assert not parsed.given("pull")
    assert parsed.text("pull", "missing") == "missing"


@pytest.mark.parametrize(
    ("word", "on"), [("--rm", True), ("--rm=true", True), ("--rm=0", False), ("--rm=F", False)]
)
def test_switches_can_be_said_to_be_off(*, word: str, on: bool) -> None:
    assert run(word, "x").on("rm") is on


def test_flags_may_follow_operands_where_no_command_does() -> None:
    verb = Verb("rm", "rm", "", "C…", 1, None, flags=(Flag("force", "", short="f"),))
    assert parse(verb, ["a", "-f", "b"]).operands == ("a", "b")
    assert parse(verb, ["a", "--", "-f"]).operands == ("a", "-f")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--nope", "x"], "unknown flag: --nope"),
        (["-z", "x"], "unknown flag: -z"),
        (["--name"], "flag needs an argument: --name"),
        (["-e"], "flag needs an argument: -e"),
        (["--rm=maybe", "x"], "invalid value 'maybe' for --rm"),
        (["--pull", "sometimes", "x"], "invalid value 'sometimes' for --pull"),
        ([], "requires at least 1 argument"),
    ],
)
def test_what_is_wrong_is_named(words: list[str], message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(RUN, words)
    assert message in caught.value.message
    assert caught.value.hint


def test_too_many_operands() -> None:
    with pytest.raises(InvalidRequest, match="takes no argument 'x'"):
        parse(PS, ["x"])


def test_a_near_miss_is_suggested() -> None:
    with pytest.raises(InvalidRequest) as caught:
        run("--interactiv", "x")
    assert "--interactive" in caught.value.hint


def test_help_needs_no_operands() -> None:
    assert run("--help").on("help")
    assert parse(PS, ["-h"]).on("help")


def test_a_verb_that_asks_for_a_flag_it_does_not_have_is_a_bug() -> None:
    with pytest.raises(KeyError):
        run("x").on("all")


@given(st.sampled_from(table.VERBS), st.lists(st.text(max_size=12), max_size=8))
def test_any_line_is_read_or_refused(verb: Verb, words: list[str]) -> None:
    with contextlib.suppress(InvalidRequest):
        parse(verb, words)
