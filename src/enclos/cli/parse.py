"""Reads a command line by the table, in docker's manner.

`--flag value` and `--flag=value`, `-f value` and `-fvalue`, clusters of short switches (`-it`),
`--switch=false`, `--` before operands. For verbs that run a command, flags end at the first
operand. Values stay text here; the verbs know what they mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from enclos.cli.grammar import Flag, Verb
from enclos.errors import InvalidRequest
from enclos.structs import dataclass

_WORDS: Final = {"true": True, "1": True, "t": True, "false": False, "0": False, "f": False}
HELP: Final = Flag("help", "show this help", short="h")


@dataclass(frozen=True, slots=True)
class Parsed:
    """What was written: texts by flag, in order, and the operands."""

    verb: Verb
    values: Mapping[str, tuple[str, ...]]
    operands: tuple[str, ...]

    def on(self, name: str, *, default: bool = False) -> bool:
        """Whether a switch is on; the last one counts."""
        words = self._values(name)
        return words[-1] == "true" if words else default

    def text(self, name: str, default: str = "") -> str:
        """The value of a flag; the last one counts."""
        words = self._values(name)
        return words[-1] if words else default

    def texts(self, name: str) -> tuple[str, ...]:
        """All values of a flag, in order."""
        return self._values(name)

    def given(self, name: str) -> bool:
        """Whether the flag was written."""
        return bool(self._values(name))

    def _values(self, name: str) -> tuple[str, ...]:
        if not any(flag.name == name for flag in (*self.verb.flags, HELP)):
            raise KeyError(f"{self.verb.name} has no flag {name}")
        return self.values.get(name, ())


def parse(verb: Verb, words: Sequence[str]) -> Parsed:
    """The meaning of the `words` after the verb; raises `InvalidRequest`.

    With --help among the flags, operands are not checked.
    """
    reader = _Reader(verb, list(words))
    reader.read()
    parsed = Parsed(verb, {key: tuple(found) for key, found in reader.values.items()},
                    tuple(reader.operands))  # fmt: skip
    if not parsed.on("help"):
        _check_operands(verb, parsed.operands)
    return parsed


class _Reader:
    """Walks over the words once."""

    def __init__(self, verb: Verb, words: list[str]) -> None:
        self._verb, self._words, self._at = verb, words, 0
        self.values: dict[str, list[str]] = {}
        self.operands: list[str] = []

    def read(self) -> None:
        """Take every word."""
        while self._at < len(self._words):
            word = self._words[self._at]
            self._at += 1
            if word == "--":
                self._rest()
            elif word.startswith("--"):
                self._long(word)
            elif word.startswith("-") and len(word) > 1:
                self._cluster(word[1:])
            else:
                self.operands.append(word)
                if self._verb.stops:
                    self._rest()

    def _rest(self) -> None:
        self.operands += self._words[self._at :]
        self._at = len(self._words)

    def _long(self, word: str) -> None:
        name, equals, value = word[2:].partition("=")
        flag = next((one for one in (*self._verb.flags, HELP) if one.name == name), None)
        if flag is None:
            raise _unknown(self._verb, f"--{name}")
        if flag.meta:
            self._keep(flag, value if equals else self._next(f"--{name}"))
        else:
            self._keep(flag, _switch(f"--{name}", value if equals else "true"))

    def _cluster(self, letters: str) -> None:
        for at, letter in enumerate(letters):
            flag = next((one for one in (*self._verb.flags, HELP) if one.short == letter), None)
            if flag is None:
                raise _unknown(self._verb, f"-{letter}")
            rest = letters[at + 1 :]
            if flag.meta:
                self._keep(flag, rest.removeprefix("=") if rest else self._next(f"-{letter}"))
                return
            if rest.startswith("="):
                self._keep(flag, _switch(f"-{letter}", rest[1:]))
                return
            self._keep(flag, "true")

    def _next(self, name: str) -> str:
        if self._at >= len(self._words):
            raise InvalidRequest(f"flag needs an argument: {name}", hint=_see(self._verb))
        self._at += 1
        return self._words[self._at - 1]

    def _keep(self, flag: Flag, value: str) -> None:
        if flag.choices and value not in flag.choices:
            raise InvalidRequest(
                f"invalid value {value[:80]!r} for --{flag.name}",
                hint=f"use one of: {', '.join(flag.choices)}",
            )
        self.values.setdefault(flag.name, []).append(value)


def _switch(name: str, value: str) -> str:
    found = _WORDS.get(value.lower())
    if found is None:
        raise InvalidRequest(f"invalid value {value[:80]!r} for {name}", hint="use true or false")
    return "true" if found else "false"


def _check_operands(verb: Verb, operands: tuple[str, ...]) -> None:
    count = len(operands)
    if count < verb.least:
        noun = "argument" if verb.least == 1 else "arguments"
        exactly = "" if verb.least == verb.most else "at least "
        raise InvalidRequest(
            f'"enclos {verb.name}" requires {exactly}{verb.least} {noun}', hint=_see(verb)
        )
    if verb.most is not None and count > verb.most and not verb.stops:
        raise InvalidRequest(
            f'"enclos {verb.name}" takes no argument {operands[verb.most][:80]!r}', hint=_see(verb)
        )
    if verb.choices and operands and operands[0] not in verb.choices:
        raise InvalidRequest(
            f"{operands[0][:80]!r} is not one of {', '.join(verb.choices)}", hint=_see(verb)
        )


def _unknown(verb: Verb, name: str) -> InvalidRequest:
    from difflib import get_close_matches  # only for complaints

    known = [f"--{flag.name}" for flag in verb.flags]
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    return InvalidRequest(f"unknown flag: {name[:80]}", hint=f"{hint}{_see(verb)}")


def _see(verb: Verb) -> str:
    return f"usage: {verb.usage} (see: enclos {verb.name} --help)"
