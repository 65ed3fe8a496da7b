"""Takes the measurements: rows of a group in turns (A, B, A, B), disturbed rounds again.

Only figures of one interleaved run are comparable here: the same boot may take 1.5 s or 15 s,
depending on the machine's neighbours.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from enclos.errors import EnclosError

MAX_STEAL: Final = 0.05
"""A round in which the hypervisor took more than this of the CPUs is taken again."""
MAX_EXTRA: Final = 2
"""… but at most so many times the wanted number of rounds."""
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


class Unavailable(Exception):
    """A row that cannot be measured here; the reason is printed in its place."""


class Progress(Protocol):
    """Where lines about the progress go."""

    def __call__(self, line: str, /) -> None:
        """Say `line`."""


@dataclass(frozen=True, slots=True)
class Row:
    """One thing to measure: `measure` returns one value in `unit`."""

    name: str
    unit: str
    measure: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Missing:
    """A row that cannot be measured, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that are measured in turns; `opened` prepares and yields them."""

    name: str
    rounds: int
    opened: Callable[[], AbstractContextManager[Sequence[Row | Missing]]]


@dataclass(slots=True)
class Series:
    """What was measured of one row. `cpu_ms` is the whole machine's busy time."""

    name: str
    unit: str
    values: list[float] = field(default_factory=list[float])
    cpu_ms: list[float] = field(default_factory=list[float])
    discarded: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Ticks:
    busy: int
    steal: int
    total: int


def take(group: Group, *, rounds: int | None, say: Progress) -> list[Series]:
    """Measure all rows of `group`, interleaved; a row that fails keeps its reason."""
    wanted = rounds or group.rounds
    say(f"{group.name}: {wanted} rounds")
    try:
        with group.opened() as offered:
            rows = [row for row in offered if isinstance(row, Row)]
            taken = {row.name: Series(row.name, row.unit) for row in rows}
            _rounds(rows, taken, wanted=wanted, say=say)
            return [taken[row.name] if isinstance(row, Row) else _missing(row) for row in offered]
    except (Unavailable, EnclosError) as error:
        return [Series(group.name, "", reason=str(error))]


def _rounds(rows: Sequence[Row], taken: dict[str, Series], *, wanted: int, say: Progress) -> None:
    for turn in range(wanted * (1 + MAX_EXTRA)):
        open_rows = [r for r in rows if _wants(taken[r.name], wanted)]
        if not open_rows:
            return
        for row in open_rows:
            _once(row, taken[row.name])
        say(f"  round {turn + 1}: " + ", ".join(_last(taken[r.name]) for r in open_rows))


def _wants(series: Series, wanted: int) -> bool:
    return not series.reason and len(series.values) < wanted


def _once(row: Row, series: Series) -> None:
    before = _ticks()
    try:
        value = row.measure()
    except Unavailable as error:
        series.reason = str(error)
        return
    after = _ticks()
    total = max(1, after.total - before.total)
    if (after.steal - before.steal) / total > MAX_STEAL:
        series.discarded += 1
        return
    series.values.append(value)
    series.cpu_ms.append((after.busy - before.busy) * 1000 / _TICKS_PER_S)


def _last(series: Series) -> str:
    if series.reason:
        return f"{series.name} failed"
    return f"{series.name} {series.values[-1]:.1f}" if series.values else f"{series.name} disturbed"


def _missing(row: Missing) -> Series:
    return Series(row.name, "", reason=row.reason)


def _ticks() -> _Ticks:
    first = Path("/proc/stat").read_text().split("\n", 1)[0]
    user, nice, system, idle, iowait, irq, softirq, steal = map(int, first.split()[1:9])
    busy = user + nice + system + irq + softirq
    return _Ticks(busy, steal, busy + idle + iowait + steal)


def to_stderr(line: str) -> None:
    """Progress for people; stdout carries the table only."""
    print(line, file=sys.stderr, flush=True)
