"""Rows about where a start's time goes: the supervisor's own marks, and what lies around them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from enclos.sandbox import client
from enclos.wire import control as c
from enclos.wire import messages as m
from tests.perf import commands
from tests.perf.series import Group, Missing, Row, Unavailable
from tests.perf.subject import IMAGE, Subject

WHOLE: Final = "run -d, whole"
AROUND: Final = "  command line and hand-over"
VERSION: Final = "enclos version"
_NAME: Final = "enclos-perf-phases"


def groups(subject: Subject) -> list[Group]:
    """One group: each round is one start, whose marks the other rows read."""
    return [Group("phases", 10, lambda: _rows(subject))]


@contextmanager
def _rows(subject: Subject) -> Iterator[Sequence[Row | Missing]]:
    """The rows are in order of time: the first one starts, the others only read."""
    latest: dict[str, float] = {}

    def start() -> float:
        latest.clear()
        begun = time.perf_counter()
        commands.run([subject.enclos, "run", "-d", "--name", _NAME, IMAGE, "sleep", "1000"])
        wall_ms = (time.perf_counter() - begun) * 1000
        try:
            marks = _marks(subject)
        finally:
            commands.run([subject.enclos, "rm", "-f", _NAME])
        latest.update(_steps(marks))
        latest[AROUND] = wall_ms - sum(latest.values())
        return wall_ms

    start()  # may have to make the template first, which is a phase of no other start
    start()
    yield [
        commands.row(VERSION, [subject.enclos, "version"]),
        Row(WHOLE, "ms", start),
        *(Row(name, "ms", partial(latest.__getitem__, name)) for name in list(latest)),
    ]


def _steps(marks: Mapping[str, float]) -> dict[str, float]:
    """Milliseconds from each mark to the next, by the name of the later one."""
    steps: dict[str, float] = {}
    before = 0.0
    for name, at_ms in sorted(marks.items(), key=lambda item: item[1]):
        steps[f"  {name}"] = at_ms - before
        before = at_ms
    return steps


def _marks(subject: Subject) -> Mapping[str, float]:
    connection = client.connect(_sandbox(subject))
    try:
        return connection.call("status", m.Nothing(), c.Status).phases
    finally:
        connection.close()


def _sandbox(subject: Subject) -> Path:
    """The directory of the sandbox that was made last: names and ids are the front end's."""
    found = sorted(
        (path for path in (subject.state_root / "sandboxes").iterdir() if path.is_dir()),
        key=lambda path: path.stat().st_ctime_ns,
    )
    if not found:
        raise Unavailable(f"no sandbox below {subject.state_root}")
    return found[-1]
