"""The table is consistent: names are unique, modules are there, completion knows every verb."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from enclos.cli import flags, shells, table
from enclos.cli import help as texts
from enclos.cli.grammar import Verb


@pytest.mark.parametrize("verb", table.VERBS, ids=lambda verb: verb.name)
def test_flags_of_a_verb_are_unique(verb: Verb) -> None:
    names = [flag.name for flag in verb.flags]
    shorts = [flag.short for flag in verb.flags if flag.short]
    assert len(set(names)) == len(names)
    assert len(set(shorts)) == len(shorts)
    assert "help" not in names


@pytest.mark.parametrize("verb", table.VERBS, ids=lambda verb: verb.name)
def test_a_verb_has_its_module(verb: Verb) -> None:
    module = importlib.import_module(f"enclos.cli.verbs.{verb.module}")
    assert callable(module.run)


@pytest.mark.parametrize("verb", table.VERBS, ids=lambda verb: verb.name)
def test_help_shows_every_flag(verb: Verb) -> None:
    text = texts.of_verb(verb)
    for flag in verb.flags:
        assert flag.spelling in text


def test_no_flag_is_ignored() -> None:
    """Every flag of the table is asked for somewhere; those that change nothing say so."""
    source = "".join(path.read_text() for path in Path(table.__file__).parent.rglob("*.py"))
    asked = set(re.findall(r'\.(?:on|texts?|given)\(\s*"([a-z0-9-]+)"', source))
    flags_of_all = {flag.name for verb in table.VERBS for flag in verb.flags}
    without_effect = {"volumes"}
    assert flags_of_all - asked == without_effect


def test_verbs_are_unique_and_found() -> None:
    assert len({verb.name for verb in table.VERBS}) == len(table.VERBS)
    for verb in table.VERBS:
        words = verb.name.split()
        assert table.find([*words, "x"]) == (verb, len(words))
    assert table.find(["nothing"]) == (None, 0)


def test_refused_flags_are_not_taken_by_any_container_flag() -> None:
    known = {flag.name for flag in flags.CONTAINER}
    assert not known & flags.REFUSED.keys()


@pytest.mark.parametrize("shell", shells.SCRIPTS)
def test_completion_knows_every_verb(shell: str) -> None:
    script = shells.SCRIPTS[shell]()
    for verb in table.VERBS:
        assert verb.name in script


@pytest.mark.parametrize("shell", shells.SCRIPTS)
def test_completion_is_a_script_of_its_shell(shell: str) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"no {shell} here")
    script = shells.SCRIPTS[shell]()
    done = subprocess.run([program, "-n"], input=script, capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stderr) == (0, "")


def test_bash_completes_verbs_flags_and_groups() -> None:
    assert "run" in _completed("enclos", "r")
    assert _completed("enclos", "stop", "--ti") == ["--time"]
    assert _completed("enclos", "assets", "") == ["build", "verify", "path"]
    assert _completed("enclos", "assets", "build", "--mi") == ["--mirror"]
    assert _completed("enclos", "completion", "z") == ["zsh"]


def _completed(*words: str) -> list[str]:
    line = " ".join(f'"{word}"' for word in words)
    lines = [
        shells.bash(),
        f"COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _enclos",
        'printf "%s\\n" "${COMPREPLY[@]}"',
    ]
    done = subprocess.run(
        ["bash", "-c", "\n".join(lines)],
        capture_output=True,
        text=True,
        timeout=20,
        cwd="/proc/self",
    )
    assert done.stderr == ""
    return done.stdout.split()
