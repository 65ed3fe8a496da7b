"""Completion scripts for shells, from the table: verbs, flags, names of containers and images."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Final

from enclos.cli.grammar import Flag, Subject, Verb
from enclos.cli.table import GLOBAL, VERBS

_NAMES: Final = {
    Subject.CONTAINER: "enclos ps --all --format '{{.Names}}' 2>/dev/null",
    Subject.NETWORK: "enclos network ls --format '{{.Name}}' 2>/dev/null",
    Subject.IMAGE: "enclos images --format '{{.Repository}}:{{.Tag}}' 2>/dev/null",
}


def _words(flags: tuple[Flag, ...]) -> list[str]:
    found: list[str] = []
    for flag in flags:
        found.append(f"--{flag.name}")
        if flag.short:
            found.append(f"-{flag.short}")
    return found


def _first_words() -> list[str]:
    return list(dict.fromkeys(verb.name.split()[0] for verb in VERBS))


def _second_words(first: str) -> list[str]:
    return [verb.name.split()[1] for verb in VERBS if verb.name.startswith(f"{first} ")]


def _groups() -> list[str]:
    return [word for word in _first_words() if _second_words(word)]


def bash() -> str:
    """For bash 4 and later; needs nothing of bash-completion."""
    lines = [
        "# bash completion of enclos; written by: enclos completion bash",
        "_enclos() {",
        '    local word=${COMP_WORDS[COMP_CWORD]} verb="" words="" at',
        "    for ((at = 1; at < COMP_CWORD; at++)); do",
        "        [[ ${COMP_WORDS[at]} == -* ]] || { verb=${COMP_WORDS[at]}; break; }",
        "    done",
        "    case $verb in",
    ]
    for group in _groups():
        lines.append(f'        {group}) verb="{group} ${{COMP_WORDS[at + 1]}}" ;;')
    lines += ["    esac", "    COMPREPLY=()", '    case "$verb" in']
    lines.append(f'        "") words="{" ".join([*_first_words(), *_words(GLOBAL)])}" ;;')
    for group in _groups():
        lines.append(f'        "{group} "*) [[ COMP_CWORD -gt at+1 ]] || '
                     f'words="{" ".join(_second_words(group))}" ;;&')  # fmt: skip
    for verb in VERBS:
        lines += [f'        "{verb.name}")', *_bash_verb(verb), "            ;;"]
    lines += [
        "    esac",
        '    [[ -z $words ]] || COMPREPLY=($(compgen -W "$words" -- "$word"))',
        '    [[ ${#COMPREPLY[@]} -gt 0 ]] || COMPREPLY=($(compgen -f -- "$word"))',
        "}",
        "complete -o filenames -F _enclos enclos",
    ]
    return "\n".join(lines) + "\n"


def _bash_verb(verb: Verb) -> list[str]:
    flags = " ".join(_words(verb.flags))
    lines = [f'            if [[ $word == -* ]]; then words="{flags}"']
    if verb.choices:
        lines.append(f'            else words="{" ".join(verb.choices)}"')
    elif verb.subject in _NAMES:
        lines.append(f"            else words=$({_NAMES[verb.subject]})")
    return [*lines, "            fi"]


def zsh() -> str:
    """For zsh, by compdef."""
    lines = [
        "#compdef enclos",
        "# zsh completion of enclos; written by: enclos completion zsh",
        "_enclos() {",
        "    local verb=${words[2]}",
        "    if (( CURRENT == 2 )); then",
        "        local -a verbs=(",
    ]
    for word in _first_words():
        summary = next(v.summary for v in VERBS if v.name.split()[0] == word)
        lines.append(f"            {shlex.quote(f'{word}:{_colonless(summary)}')}")
    lines += ["        )", "        _describe command verbs", "        return", "    fi"]
    lines.append('    case "$verb" in')
    for group in _groups():
        seconds = " ".join(_second_words(group))
        lines += [
            f"        {group})",
            f"            if (( CURRENT == 3 )); then compadd -- {seconds}; return; fi",
            f'            verb="{group} ${{words[3]}}" ;;',
        ]
    lines += ["    esac", '    case "$verb" in']
    for verb in VERBS:
        lines += [f'        "{verb.name}")', *_zsh_verb(verb), "            ;;"]
    lines += ["        *) _files ;;", "    esac", "}", "compdef _enclos enclos"]
    return "\n".join(lines) + "\n"


def _zsh_verb(verb: Verb) -> list[str]:
    flags = " ".join(_words(verb.flags))
    lines = [f"            if [[ $PREFIX == -* ]]; then compadd -- {flags}"]
    if verb.choices:
        lines.append(f"            else compadd -- {' '.join(verb.choices)}")
    elif verb.subject in _NAMES:
        lines.append(f'            else compadd -- ${{(f)"$({_NAMES[verb.subject]})"}}; _files')
    else:
        lines.append("            else _files")
    return [*lines, "            fi"]


def _colonless(text: str) -> str:
    return text.replace(":", " -")


def fish() -> str:
    """For fish."""
    lines = [
        "# fish completion of enclos; written by: enclos completion fish",
        "function __enclos_verb",
        "    set -l found (string match -v -- '-*' (commandline -opc)[2..-1])",
        "    set -l wanted (count $argv)",
        "    test $wanted -le (count $found); or return 1",
        "    set -l head $found[1..$wanted]",
        '    test "$argv" = "$head"',
        "end",
        "function __enclos_no_verb",
        "    not string match -qv -- '-*' (commandline -opc)[2..-1]",
        "end",
    ]
    for word in _first_words():
        summary = next(v.summary for v in VERBS if v.name.split()[0] == word)
        lines.append(f"complete -c enclos -f -n __enclos_no_verb -a {word} "
                     f"-d {shlex.quote(summary)}")  # fmt: skip
    for group in _groups():
        seconds = shlex.quote(" ".join(_second_words(group)))
        lines.append(f"complete -c enclos -f -n '__enclos_verb {group}' -a {seconds}")
    for verb in VERBS:
        lines += _fish_verb(verb)
    return "\n".join(lines) + "\n"


def _fish_verb(verb: Verb) -> list[str]:
    begin = f"complete -c enclos -n '__enclos_verb {verb.name}'"
    lines: list[str] = []
    for flag in verb.flags:
        short = f" -s {flag.short}" if flag.short else ""
        value = " -r" if flag.meta else ""
        choices = f" -a {shlex.quote(' '.join(flag.choices))}" if flag.choices else ""
        lines.append(f"{begin} -l {flag.name}{short}{value}{choices} -d {shlex.quote(flag.help)}")
    if verb.choices:
        lines.append(f"{begin} -f -a {shlex.quote(' '.join(verb.choices))}")
    elif verb.subject in _NAMES:
        lines.append(f"{begin} -a {shlex.quote(f'({_NAMES[verb.subject]})')}")
    return lines


SCRIPTS: Final[dict[str, Callable[[], str]]] = {"bash": bash, "zsh": zsh, "fish": fish}
