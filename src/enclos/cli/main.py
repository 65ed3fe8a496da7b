"""The program `enclos`: finds the verb, imports its module, and is the edge where errors end."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Final

from enclos.cli import complain, flags, table
from enclos.cli.grammar import Verb
from enclos.cli.parse import Parsed, parse
from enclos.errors import EnclosError, InvalidRequest

INTERRUPTED: Final = 130
_BROKEN_PIPE: Final = 141
_GLOBAL: Final = Verb("", "", "", flags=table.GLOBAL, stops=True, most=None)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _command(words)
    except (EnclosError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            return _BROKEN_PIPE  # whoever read our output has had enough
        if _debugging(words):
            raise
        return complain.complain(error)
    except KeyboardInterrupt:
        return INTERRUPTED


def _command(words: list[str]) -> int:
    first = parse(_GLOBAL, words)
    if first.on("version"):
        words = ["version"]
    elif first.on("help") or not first.operands:
        return _overview(asked=first.on("help"))
    else:
        words = list(first.operands)
    if words[0] == "help":
        words = [*words[1:], "--help"]
    verb, used = table.find(words)
    if verb is None:
        return _no_verb(words)
    _configure_log(first)
    parsed = _parse(verb, words[used:])
    if parsed.on("help"):
        return _print_help(verb)
    module = importlib.import_module(f"enclos.cli.verbs.{verb.module}")
    status: int = module.run(parsed)
    return status


def _parse(verb: Verb, words: list[str]) -> Parsed:
    try:
        return parse(verb, words)
    except InvalidRequest as error:
        written = error.message.removeprefix("unknown flag: ")
        hint = flags.REFUSED.get(written.lstrip("-"), "")
        if not hint:
            raise
        raise InvalidRequest(f"enclos {verb.name} cannot do {written}", hint=hint) from error


def _no_verb(words: list[str]) -> int:
    from enclos.cli import help as texts

    group = table.group(words[0])
    if group:
        asked = words[1:] in (["--help"], ["-h"], [])
        if not asked:
            raise InvalidRequest(
                f"{words[0]} has no command {words[1][:80]!r}",
                hint="use one of: " + ", ".join(verb.name.split()[1] for verb in group),
            )
        return _show(texts.overview(group, title=f"{words[0]} COMMAND"), asked=len(words) > 1)
    if words == ["--help"]:
        return _overview(asked=True)
    if words[0] in table.RUNC:
        raise InvalidRequest(
            f"{words[0]!r} is a command of runc's grammar, which is not this program's",
            hint=f"run: enclos-oci {words[0]} …",
        )
    raise InvalidRequest(f"unknown command {words[0][:80]!r}", hint=_nearest(words[0]))


def _nearest(word: str) -> str:
    from difflib import get_close_matches  # only for complaints

    names = [verb.name for verb in table.VERBS]
    close = get_close_matches(word, names, n=1)
    return f"did you mean: enclos {close[0]}?" if close else "see: enclos --help"


def _overview(*, asked: bool) -> int:
    from enclos.cli import help as texts

    return _show(texts.overview(), asked=asked)


def _print_help(verb: Verb) -> int:
    from enclos.cli import help as texts

    return _show(texts.of_verb(verb), asked=True)


def _show(text: str, *, asked: bool) -> int:
    """Help that was asked for is data; else it is a complaint."""
    if not asked:
        complain.write(text)
        return 125
    from enclos.cli import output

    output.write(text)
    return 0


def _configure_log(first: Parsed) -> None:
    """Read the settings only where a flag does not say all: the verb reads them as needed."""
    from enclos import log

    name = "debug" if first.on("debug") else first.text("log-level")
    if name:
        log.configure(level=log.Level[name.upper()])


def _debugging(words: list[str]) -> bool:
    """Whether --debug stands before the verb."""
    for word in words:
        if not word.startswith("-"):
            return False
        if word in {"--debug", "-D"}:
            return True
    return False
