"""Reads a command line by the table, in runc's manner: `GLOBAL-FLAGS VERB FLAGS ID …`.

`--flag value` and `--flag=value`, each with one dash or two; short flags also in crun's manner
(`-bDIR`, `-dt`). Flags may stand after operands, but for verbs that run a command. Imports
nothing that costs time: the fast verbs use it.
"""

from __future__ import annotations

from enclos.errors import InvalidRequest
from enclos.ocicli.grammar import PROGRAM, Flag, Verb
from enclos.ocicli.table import GLOBAL, HELP, VERBS, find

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

_TRUE: Final = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "false", "FALSE", "False"})


class Values:
    """Texts by flag, in the order in which they were written."""

    __slots__ = ("_found", "_known")

    def __init__(self, known: tuple[Flag, ...], found: dict[str, list[str]]) -> None:
        self._known = frozenset(flag.name for flag in known)
        self._found = found

    def on(self, name: str) -> bool:
        """Whether a switch is on; the last one counts."""
        words = self.texts(name)
        return bool(words) and words[-1] == "true"

    def text(self, name: str, default: str = "") -> str:
        """The value of a flag; the last one counts."""
        words = self.texts(name)
        return words[-1] if words else default

    def texts(self, name: str) -> tuple[str, ...]:
        """All values of a flag."""
        if name not in self._known:
            raise KeyError(f"no flag is called {name}")
        return tuple(self._found.get(name, ()))

    def number(self, name: str, default: int = 0) -> int:
        """The value of a flag as a number of 0 or more; raises `InvalidRequest`."""
        text = self.text(name)
        if not text:
            return default
        if not (text.isascii() and text.isdecimal() and len(text) < 10):
            raise InvalidRequest(
                f"invalid value {text[:80]!r} for --{name}", hint="use a number of 0 or more"
            )
        return int(text)


class Invocation:
    """What was asked for. Without a verb it is help or the version; `help` says which."""

    __slots__ = ("arguments", "flags", "globals", "help", "verb")

    def __init__(
        self,
        verb: Verb | None,
        globals_: Values,
        flags: Values,
        *,
        arguments: tuple[str, ...] = (),
        help_: bool = False,
    ) -> None:
        self.verb = verb
        self.globals = globals_
        self.flags = flags
        self.arguments = arguments
        self.help = help_


def parse(words: Sequence[str]) -> Invocation:
    """The meaning of the command line without the program's name; raises `InvalidRequest`.

    With `help` set the arguments have not been checked.
    """
    top = _Reader(GLOBAL, list(words), where="", stops=True)
    top.read()
    globals_ = Values(GLOBAL, top.found)
    nothing = Values((HELP,), {})
    rest = top.operands
    if globals_.on("version"):
        return Invocation(None, globals_, nothing)
    if globals_.on("help") or not rest or rest[0] in {"help", "h"}:
        topic = next((word for word in rest if word not in {"help", "h"}), "")
        return Invocation(_verb(topic) if topic else None, globals_, nothing, help_=True)
    return _of_verb(_verb(rest[0]), rest[1:], globals_)


def _of_verb(verb: Verb, words: list[str], globals_: Values) -> Invocation:
    known = (*verb.flags, HELP)
    reader = _Reader(known, words, where=verb.name, stops=verb.stops)
    reader.read()
    flags = Values(known, reader.found)
    if flags.on("help"):
        return Invocation(verb, globals_, flags, help_=True)
    _check_count(verb, reader.operands)
    return Invocation(verb, globals_, flags, arguments=tuple(reader.operands))


def partial_globals(words: Sequence[str]) -> Values:
    """The global flags as far as they can be read: where to log that they cannot."""
    reader = _Reader(GLOBAL, list(words), where="", stops=True)
    try:
        reader.read()
    except InvalidRequest:
        return Values(GLOBAL, reader.found)
    return Values(GLOBAL, reader.found)


class _Reader:
    """Walks over the words once."""

    __slots__ = ("_flags", "_stops", "_where", "_words", "found", "operands")

    def __init__(
        self, flags: tuple[Flag, ...], words: list[str], *, where: str, stops: bool
    ) -> None:
        self._flags = flags
        self._words = words[::-1]
        self._where = where
        self._stops = stops
        self.found: dict[str, list[str]] = {}
        self.operands: list[str] = []

    def read(self) -> None:
        """Take every word."""
        while self._words:
            word = self._words.pop()
            if word == "--":
                self._rest()
            elif word.startswith("-") and len(word) > 1:
                self._flag(word)
            else:
                self.operands.append(word)
                if self._stops:
                    self._rest()

    def _rest(self) -> None:
        self.operands += self._words[::-1]
        self._words.clear()

    def _flag(self, word: str) -> None:
        name, equals, value = word[2 if word.startswith("--") else 1 :].partition("=")
        flag = self._named(name)
        if flag is not None:
            self._take(flag, value if equals else None, word=word)
        elif word.startswith("--") or not self._cluster(word[1:]):
            shown = word.partition("=")[0][:80]
            raise InvalidRequest(
                f"flag provided but not defined: {shown}", hint=f"see: {self._help()}"
            )

    def _named(self, name: str) -> Flag | None:
        for flag in self._flags:
            if name and name in {flag.name, flag.short}:
                return flag
        return None

    def _cluster(self, letters: str) -> bool:
        """Short flags in one word; False, with nothing taken, if they are not all known."""
        taken: list[tuple[Flag, str | None]] = []
        for at, letter in enumerate(letters):
            flag = next((one for one in self._flags if one.short == letter), None)
            if flag is None:
                return False
            rest = letters[at + 1 :]
            taken.append((flag, rest if flag.meta and rest else None))
            if flag.meta:
                break
        for flag, value in taken:
            self._take(flag, value, word=f"-{flag.short}")
        return True

    def _take(self, flag: Flag, value: str | None, *, word: str) -> None:
        if flag.refused:
            raise InvalidRequest(
                f"--{flag.name} is not supported: {flag.refused}", hint=f"see: {self._help()}"
            )
        if not flag.meta:
            value = _switch(flag, "true" if value is None else value)
        elif value is None:
            if not self._words:
                raise InvalidRequest(
                    f"flag needs an argument: {word[:80]}", hint=f"see: {self._help()}"
                )
            value = self._words.pop()
        if flag.choices and value not in flag.choices:
            raise InvalidRequest(
                f"invalid value {value[:80]!r} for --{flag.name}",
                hint=f"use one of: {' '.join(flag.choices)}",
            )
        self.found.setdefault(flag.name, []).append(value)

    def _help(self) -> str:
        return " ".join(word for word in (PROGRAM, self._where, "--help") if word)


def _switch(flag: Flag, value: str) -> str:
    if value in _TRUE:
        return "true"
    if value in _FALSE:
        return "false"
    raise InvalidRequest(
        f"invalid value {value[:80]!r} for --{flag.name}", hint="use true or false"
    )


def _verb(name: str) -> Verb:
    """The verb; one that is refused is so for all its words, --help as well: that is how
    engines ask whether it is there."""
    verb = find(name)
    if verb is None:
        known = " ".join(one.name for one in VERBS if not one.refused)
        raise InvalidRequest(f"unknown command {name[:80]!r}", hint=f"use one of: {known}")
    if verb.refused:
        raise InvalidRequest(
            f"{PROGRAM} {name} is not supported: {verb.refused}", hint=f"see: {PROGRAM} --help"
        )
    return verb


def _check_count(verb: Verb, operands: list[str]) -> None:
    count = len(operands)
    if verb.least <= count and (verb.most is None or count <= verb.most):
        return
    needed = f"exactly {verb.least}" if verb.least == verb.most else f"at least {verb.least}"
    if verb.most is not None and count > verb.most and verb.least != verb.most:
        needed = f"at most {verb.most}"
    plural = "" if needed.endswith(" 1") else "s"
    raise InvalidRequest(
        f'"{PROGRAM} {verb.name}" requires {needed} argument{plural}, not {count}',
        hint=f"usage: {verb.usage}",
    )
