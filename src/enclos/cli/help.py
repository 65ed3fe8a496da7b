"""Help as text, from the table."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from enclos.cli.grammar import Flag, Verb
from enclos.cli.parse import HELP
from enclos.cli.table import GLOBAL, VERBS

_WIDTH = 96
_COLUMN = 30


def overview(verbs: tuple[Verb, ...] = VERBS, *, title: str = "") -> str:
    """All commands, or those of a group."""
    lines = [f"usage: enclos {title or '[OPTIONS] COMMAND'} …", ""]
    if not title:
        lines += ["Runs OCI containers, each in a virtual machine of its own.", ""]
    lines += ["Commands:"]
    lines += [f"  {verb.name:<14} {verb.summary}" for verb in verbs]
    if not title:
        lines += ["", "Options:", *_flags(GLOBAL)]
    lines += ["", "More about a command: enclos COMMAND --help. About settings: man enclos-config."]
    return "\n".join(lines) + "\n"


def of_verb(verb: Verb) -> str:
    """One command with its flags."""
    lines = [f"usage: {verb.usage}", "", f"{verb.summary[0].upper()}{verb.summary[1:]}."]
    if verb.about:
        lines += ["", verb.about if "\n" in verb.about else textwrap.fill(verb.about, _WIDTH)]
    lines += ["", "Options:", *_flags((*verb.flags, help_flag(verb)))]
    if verb.examples:
        lines += ["", "Examples:", *(f"  {example}" for example in verb.examples)]
    return "\n".join(lines) + "\n"


def help_flag(verb: Verb) -> Flag:
    """The flag for help, without -h where that means something else."""
    taken = any(flag.short == HELP.short for flag in verb.flags)
    return Flag(HELP.name, HELP.help) if taken else HELP


def _flags(flags: Iterable[Flag]) -> list[str]:
    lines: list[str] = []
    for flag in sorted(flags, key=lambda one: one.name):
        text = flag.help + (f": {', '.join(flag.choices)}" if flag.choices else "")
        head = f"  {flag.spelling}"
        if len(head) >= _COLUMN:
            lines.append(head)
            head = ""
        lines.append(f"{head:<{_COLUMN}}{text}")
    return lines
