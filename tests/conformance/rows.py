"""What a row of the conformance tables is: a field of the specification, seen by a program."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Spec = dict[str, Any]
Change = Callable[[Spec], None]


@dataclass(frozen=True, slots=True)
class Row:
    """`field` of config.json, changed by `change`, makes `script` print `wanted` (a pattern)."""

    field: str
    change: Change
    script: str
    wanted: str
    code: int = 0

    def fits(self, printed: str) -> bool:
        """Whether the whole output is what is wanted."""
        return re.fullmatch(self.wanted, printed.strip()) is not None


def at(path: str, value: Any) -> Change:
    """Set one member, by its path with dots; numbers index lists."""

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


def together(*changes: Change) -> Change:
    """All of them, in order."""

    def change(spec: Spec) -> None:
        for one in changes:
            one(spec)

    return change
