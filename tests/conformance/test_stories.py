"""Every verb: the same commands on the same bundle, here and with runc or crun."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from enclos.ocicli.grammar import Flag, Verb
from tests.conformance import answers, flags, stories
from tests.conformance.answers import Answer
from tests.conformance.conftest import Side
from tests.conformance.steps import Out, Step, Story

PATIENCE_S: Final = 60
USAGE: Final = frozenset({"wrong count of words", "unknown flag", "flag without value",
                          "wrong specification"})  # fmt: skip
"""With these, runc explains its whole command line on standard output."""


@dataclass(frozen=True, slots=True)
class Teller:
    """One side with the container of one story."""

    side: Side
    name: str
    bundle: Path
    scratch: Path

    def tell(self, step: Step) -> Answer:
        """Do one step."""
        if step.wait:
            self.wait(step.wait)
        text = step.words.format(
            id=self.name, other="nobody", bundle=self.bundle, scratch=self.scratch
        )
        return self.side.runtime.call(*shlex.split(text), scratch=self.scratch, stdin=step.stdin)

    def wait(self, status: str) -> None:
        """Wait until the container is in this status."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if status == "ready" and (self.bundle / "rootfs/ready").exists():
                return
            told = self.side.runtime.call("state", self.name, scratch=self.scratch)
            if not told.code and json.loads(told.out)["status"] == status:
                return
            time.sleep(0.1)
        raise AssertionError(f"{self.name} is not {status}")


def _teller(side: Side, story: Story, place: Path) -> Teller:
    name = side.name()
    scratch = place / side.runtime.name
    scratch.mkdir()
    return Teller(side, name, side.bundle(name, story.script, story.change), scratch)


def _cases() -> list[object]:
    marks = (pytest.mark.nightly,)
    return [
        pytest.param(story, id=story.name, marks=marks if story.nightly else ())
        for story in stories.STORIES
    ]


@pytest.mark.parametrize("story", _cases())
def test_story(pod: Side, others: Mapping[str, Side], story: Story, tmp_path: Path) -> None:
    if story.peer not in others:
        pytest.skip(f"no {story.peer} on this host")
    tellers = [_teller(side, story, tmp_path) for side in (pod, others[story.peer])]
    wrong: list[str] = []
    try:
        for step in story.steps:
            ours, theirs = (teller.tell(step) for teller in tellers)
            wrong += [f"{step.words}: {line}" for line in compare(step, ours, theirs)]
    finally:
        for teller in tellers:
            teller.side.forget(teller.name)
    assert not wrong, "\n".join(wrong)


def compare(step: Step, ours: Answer, theirs: Answer) -> list[str]:
    """What is wrong with our answer, or with the row."""
    found: list[str] = []
    if ours.code != step.code:
        found.append(f"ended with {ours.code}: {ours.err}")
    if ours.complaint != step.complaint:
        found.append(f"complains of {ours.complaint!r}: {ours.err}")
    differences = [
        *([f"code {ours.code}, theirs {theirs.code}"] if ours.code != theirs.code else []),
        *(
            [f"complaint {ours.complaint!r}, theirs {theirs.complaint!r}: {theirs.err}"]
            if ours.complaint != theirs.complaint
            else []
        ),
        *([] if ours.complaint in USAGE else _outputs(step.out, ours.out, theirs.out)),
    ]
    if step.differs:
        return found if differences else [*found, "it differs no more"]
    return found + differences


def _outputs(how: Out, ours: str, theirs: str) -> list[str]:
    if how is Out.SAME:
        return [] if ours == theirs else [f"printed {ours!r}, theirs {theirs!r}"]
    if how is Out.JSON:
        lacks = answers.lacks(answers.shape(ours), answers.shape(theirs))
        return [f"lacks {', '.join(lacks)}"] if lacks else []
    if how is Out.LATER:
        return []
    if how is Out.SOME:
        return [] if bool(ours) == bool(theirs) else [f"printed {ours!r}, theirs {theirs!r}"]
    if how is Out.NUMBERS:
        lists = [json.loads(text) for text in (ours, theirs)]
        plain = all(isinstance(one, int) for numbers in lists for one in numbers)
        return [] if plain and lists[0] and lists[1] else [f"printed {ours!r}, theirs {theirs!r}"]
    return _rows(ours, theirs)


def _rows(ours: str, theirs: str) -> list[str]:
    heads = [(text.splitlines() or [""])[0].split() for text in (ours, theirs)]
    named = all(word.isupper() for word in heads[1])
    if named and heads[0] != heads[1]:
        return [f"columns {heads[0]}, theirs {heads[1]}"]
    return []


def _spelled() -> list[object]:
    """One spelling of each flag by day, all of them at night."""
    cases: list[object] = []
    before: Flag | None = None
    for verb, flag, words in flags.cases():
        marks = (pytest.mark.nightly,) if flag is before else ()
        cases.append(pytest.param(verb, flag, words, id=f"{verb.name} {words[0]}", marks=marks))
        before = flag
    return cases


@pytest.mark.parametrize(("verb", "flag", "words"), _spelled())
def test_flag(
    pod: Side, others: Mapping[str, Side], verb: Verb, flag: Flag, words: tuple[str, ...],
    tmp_path: Path,
) -> None:  # fmt: skip
    """Read as a peer reads it: both find that the container, or its bundle, is not there."""
    call = (verb.name, *words, "nobody", *(("true",) if verb.name == "exec" else ()))
    ours = pod.runtime.call(*call, scratch=tmp_path)
    if flag.refused:
        assert (ours.code, ours.complaint) == (1, "not supported"), ours
        return
    told = [side.runtime.call(*call, scratch=tmp_path) for side in others.values()]
    read = [one for one in told if one.complaint != "unknown flag"]
    if flags.is_ours(verb, flag, words):
        known = ("--pids-limit", "10") if verb.name == "update" else ()  # which wants some limit
        rest = call[-2 + (verb.name != "exec") :]
        read = [pod.runtime.call(verb.name, *known, *rest, scratch=tmp_path)]
    assert any((one.code, one.complaint) == (ours.code, ours.complaint) for one in read), (
        ours,
        told,
    )
