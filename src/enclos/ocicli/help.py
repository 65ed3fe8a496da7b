"""Help as text, from the table."""

from __future__ import annotations

from enclos.ocicli.grammar import PROGRAM, Flag, Verb
from enclos.ocicli.table import GLOBAL, HELP, VERBS

_COLUMN = 34
_WIDTH = 96


def overview() -> str:
    """All commands and the global flags."""
    lines = [f"usage: {PROGRAM} [GLOBAL OPTIONS] COMMAND [OPTIONS] [ID]", ""]
    lines += ["Runs OCI bundles, each container in a virtual machine.", "", "Commands:"]
    lines += [f"  {verb.name:<12} {verb.summary}" for verb in VERBS if not verb.refused]
    lines += ["", "Global options:", *_flags(GLOBAL)]
    lines += ["", f"More about a command: {PROGRAM} COMMAND --help, man {PROGRAM}."]
    return "\n".join(lines) + "\n"


def of_verb(verb: Verb) -> str:
    """One command with its flags."""
    lines = [f"usage: {verb.usage}", "", f"{verb.summary[0].upper()}{verb.summary[1:]}."]
    if verb.about:
        lines += ["", *_wrapped(verb.about)]
    flags = tuple(flag for flag in (*verb.flags, HELP) if not flag.refused)
    return "\n".join([*lines, "", "Options:", *_flags(flags)]) + "\n"


def _flags(flags: tuple[Flag, ...]) -> list[str]:
    return [f"  {flag.spelling:<{_COLUMN}}{flag.help}" for flag in flags]


def _wrapped(text: str) -> list[str]:
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > _WIDTH:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".lstrip()
    return lines
