"""Progress on stderr: one line that is written over on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from enclos.cli import complain
from enclos.linux import terminal

_WIDTH = 200
_CLEAR = "\r\x1b[K"


class Progress:
    """Says what is being done; nothing at all if `quiet`."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._terminal = terminal.is_terminal(2) and not _dumb()
        self._shown = False

    def clear(self) -> None:
        """Take the line away that stands on the terminal."""
        if self._shown:
            complain.write(_CLEAR)
            self._shown = False

    @property
    def terminal_fd(self) -> int | None:
        """Where programs may draw bars of their own, if anywhere."""
        return 2 if self._terminal and not self._quiet else None

    def line(self, text: str) -> None:
        """Say what is being done now."""
        if self._quiet:
            return
        if not self._terminal:
            complain.write(f"{text}\n")
            return
        shown = "".join(letter if letter.isprintable() else " " for letter in text)
        complain.write(f"{_CLEAR}{shown[: _columns() - 1]}")
        self._shown = True


@contextmanager
def progress(*, quiet: bool = False) -> Iterator[Progress]:
    """Progress whose line is gone at the end."""
    shown = Progress(quiet=quiet)
    try:
        yield shown
    finally:
        shown.clear()


def _dumb() -> bool:
    """Terminals without control sequences, and people who want none (NO_COLOR)."""
    from enclos.config import load

    return load.variable("TERM") in {"", "dumb"} or bool(load.variable("NO_COLOR"))


def _columns() -> int:
    try:
        return os.get_terminal_size(2).columns or _WIDTH
    except OSError:
        return _WIDTH
