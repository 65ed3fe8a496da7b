"""Where the progress of slow work goes: the front end decides, this room only tells."""

from __future__ import annotations

from collections.abc import Callable

from enclos.structs import dataclass


def _nowhere(_line: str) -> None:
    """Drop a line."""


@dataclass(frozen=True, slots=True)
class Report:
    """`line` takes each line of progress.

    `terminal_fd` is a descriptor of the user's terminal where there is one: programs that
    draw progress bars get it as their output.
    """

    line: Callable[[str], None] = _nowhere
    terminal_fd: int | None = None


SILENT = Report()
