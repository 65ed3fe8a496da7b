"""Every flag of every verb, in each of its spellings, asked of a container that nobody has.

Then only the reading of the command line is compared, which is quick: both runtimes have to get
as far as the container that does not exist, or to refuse the flag in the same class of words.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from enclos.ocicli.grammar import Flag, Verb
from enclos.ocicli.table import VERBS

VALUES: Final = {
    "N": "0",
    "FORMAT": "json",
    "NAME=VALUE": "A=B",
    "UID[:GID]": "1:2",
    "GID": "1",
    "NAME": "CAP_KILL",
    "DURATION": "1s",
    "BYTES": "100000000",
    "SIZE": "100000000",
    "MODE": "soft",
    "NUMBER": "1000",
}
"""A value that makes sense, by the word for it in the table; a path for all others."""
NEWER: Final = frozenset({"pidfd-socket", "cpu-burst", "cpu-idle"})
"""What runc has since 1.1.6 or later."""
OURS: Final = frozenset(
    {
        ("create", "no-subreaper"),
        ("exec", "no-pivot"),
        ("exec", "no-new-keyring"),
        ("exec", "no-subreaper"),
    }
)
"""Taken by more verbs than with the others."""
_CRUNS: Final = frozenset({("create", "config"), ("run", "config")})
"""What runc does not have; crun has no long flags with one dash."""
_OF_NOTHING: Final = frozenset({"spec", "features", "plan", "list"})
"""Verbs without a container; the stories have them."""


def cases() -> Iterator[tuple[Verb, Flag, tuple[str, ...]]]:
    """Verb, flag and the words that spell the flag."""
    for verb in VERBS:
        if verb.name in _OF_NOTHING or verb.refused:
            continue
        for flag in verb.flags:
            for words in spellings(flag):
                yield verb, flag, words


def is_ours(verb: Verb, flag: Flag, words: tuple[str, ...]) -> bool:
    """Whether no peer of Debian 12 takes the flag of this verb as it is spelled."""
    if flag.name in NEWER or (verb.name, flag.name) in OURS:
        return True
    return (verb.name, flag.name) in _CRUNS and words[0] == f"-{flag.name}"


def spellings(flag: Flag) -> Iterator[tuple[str, ...]]:
    """Long with one dash and two, with = and without, and short; the first is crun's, too."""
    if not flag.meta:
        yield (f"--{flag.name}",)
        yield (f"-{flag.name}",)
        if flag.short:
            yield (f"-{flag.short}",)
        return
    value = VALUES.get(flag.meta, "/none/such")
    yield (f"--{flag.name}", value)
    yield (f"--{flag.name}={value}",)
    yield (f"-{flag.name}", value)
    if flag.short:
        yield (f"-{flag.short}", value)
