"""What a row of the conformance tables is: members of config.json, seen by a program."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from enclos.oci import default
from enclos.oci.codec import encode

Spec = dict[str, Any]
Change = Callable[[Spec], None]

NOBODY: Final = ""
"""The peer of a row about something that neither runc nor crun of Debian 12 knows."""


@dataclass(frozen=True, slots=True)
class Row:
    """A config.json changed by `change` makes `script` print `wanted` (a pattern) and end with
    `code`, here and with `peer`, whose output is the same to the letter unless `same` is off.

    `differs` is the entry of docs/differences.md that says why the peer does something else;
    `theirs` is then a pattern of what it prints.
    """

    field: str
    change: Change
    script: str
    wanted: str
    code: int = 0
    peer: str = "runc"
    same: bool = True
    differs: str = ""
    theirs: str = ".*"
    nightly: bool = False

    def fits(self, printed: str) -> bool:
        """Whether the whole output is what is wanted."""
        return matches(self.wanted, printed)


def matches(pattern: str, printed: str) -> bool:
    """Whether the pattern is that of the whole output."""
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


def at(path: str, value: Any) -> Change:
    """Set one member, by its path with dots."""

    def change(spec: Spec) -> None:
        *parents, last = path.split(".")
        here: Any = spec
        for name in parents:
            here = here.setdefault(name, {})
        here[last] = value

    return change


def adding(path: str, *values: Any) -> Change:
    """Append to one list."""

    def change(spec: Spec) -> None:
        *parents, last = path.split(".")
        here: Any = spec
        for name in parents:
            here = here.setdefault(name, {})
        here[last] = [*here.get(last, []), *values]

    return change


def without(path: str, member: str, value: str) -> Change:
    """Remove the items of a list whose `member` is `value`."""

    def change(spec: Spec) -> None:
        *parents, last = path.split(".")
        here: Any = spec
        for name in parents:
            here = here[name]
        here[last] = [item for item in here[last] if item[member] != value]

    return change


def together(*changes: Change) -> Change:
    """All of them, in order."""

    def change(spec: Spec) -> None:
        for one in changes:
            one(spec)

    return change


UNCHANGED: Final = together()


def touched(change: Change) -> set[str]:
    """The members that a change sets, as dotted paths without the indices of lists."""
    before: Spec = encode(default.default_spec())
    after: Spec = encode(default.default_spec())
    change(after)
    return set(_leaves(after, "")) - set(_leaves(before, ""))


def members(change: Change) -> set[str]:
    """The same without values: `process.user.uid`."""
    return {path.partition("=")[0] for path in touched(change)}


def _leaves(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _leaves(item, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        yield f"{path}={value}"
        for item in value:
            yield from _leaves(item, path)
    else:
        yield f"{path}={value!r}"
