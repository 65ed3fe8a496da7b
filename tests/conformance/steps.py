"""What a row of the command tables is: a story of commands on one bundle, told to two runtimes.

Words in braces stand for what differs between the two: `{id}` the container's, `{other}` one
that nobody has, `{bundle}`, `{scratch}` a directory of the step's own.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from enum import StrEnum

from enclos.errors import InvalidRequest
from enclos.ocicli import parse
from enclos.ocicli.table import GLOBAL, HELP, find
from tests.conformance.rows import UNCHANGED, Change


class Out(StrEnum):
    """What of a command's output is compared."""

    SAME = "same"
    """Every letter."""
    JSON = "json"
    """Names and types of all their members must be in ours."""
    ROWS = "rows"
    """The words of the first line and the number of lines."""
    NUMBERS = "numbers"
    """The number of words, all of them numbers."""
    LATER = "later"
    """Nothing: it comes when the command has ended."""
    SOME = "some"
    """That there is some."""


@dataclass(frozen=True, slots=True)
class Step:
    """One command; `wait` is the status to wait for before it, `ready` for a file of this name
    that the program makes in its root.

    `differs` is the entry of
    docs/differences.md; the answers must then not be the same.
    """

    words: str
    out: Out = Out.SAME
    code: int = 0
    complaint: str = ""
    wait: str = ""
    stdin: bytes = b""
    differs: str = ""


@dataclass(frozen=True, slots=True)
class Story:
    """Steps on one bundle whose program is `script`; the container is made by the first."""

    name: str
    script: str
    steps: tuple[Step, ...]
    change: Change = UNCHANGED
    peer: str = "runc"
    nightly: bool = False


def fails(words: str, complaint: str, *, code: int = 1, wait: str = "", differs: str = "") -> Step:
    """A command that fails with a complaint of this class."""
    return Step(words, code=code, complaint=complaint, wait=wait, differs=differs)


def used(words: str) -> tuple[str, set[str]]:
    """The verb of a command line and the names of the flags given to it, global ones as `--NAME`.

    One that is refused counts as well, as far as it can be read.
    """
    split = shlex.split(words)
    try:
        call = parse.parse(split)
    except InvalidRequest:
        return _scanned(split)
    flags = {f"--{flag.name}" for flag in GLOBAL if call.globals.texts(flag.name)}
    if call.verb is None:
        return "", flags
    known = (*call.verb.flags, HELP)
    return call.verb.name, flags | {flag.name for flag in known if call.flags.texts(flag.name)}


def _scanned(words: list[str]) -> tuple[str, set[str]]:
    verb = next((found for word in words if (found := find(word))), None)
    names = {word.lstrip("-").partition("=")[0] for word in words if word.startswith("-")}
    flags = verb.flags if verb is not None else ()
    return (verb.name if verb is not None else ""), {
        flag.name for flag in flags if {flag.name, flag.short} & names
    }
