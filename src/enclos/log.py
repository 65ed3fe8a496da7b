"""Log lines for whoever operates Enclos: one line, ids as fields, to a file or stderr.

Not for what a user reads as the answer to a command: that is the front end's output.
Kept free of the standard `logging` package, whose import alone costs a fast verb its budget.
"""

from __future__ import annotations

import os
import sys
import time
from enum import IntEnum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Level(IntEnum):
    """Severity; names are logrus', which engines read in runc's log file."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


_MAX_LINE = 2000
"""Characters of a line: a guest may have had a say in it."""

_threshold = Level.WARNING
_fd = 2
_entry: Callable[[str, str], str] | None = None
_most_bytes = 0
_anew: Callable[[], object] | None = None


def configure(*, level: Level, fd: int = 2, entry: Callable[[str, str], str] | None = None) -> None:
    """Write lines of at least `level` to `fd` from now on.

    `entry` makes a line of the level's name and the message with its fields, for a file that
    others read as well.
    """
    global _threshold, _fd, _entry, _anew
    _threshold, _fd, _entry, _anew = level, fd, entry, None


def limit(most_bytes: int, anew: Callable[[], object]) -> None:
    """Call `anew` as soon as the log's file has `most_bytes`: it is to put another one there."""
    global _most_bytes, _anew
    _most_bytes, _anew = most_bytes, anew


def divert() -> None:
    """Write to stderr in our own form, warnings at least: for a child that closes what it has
    inherited, where the number of the log's descriptor will soon be another file's."""
    configure(level=min(_threshold, Level.WARNING))


def enabled(level: Level) -> bool:
    """Whether a line of this level would be written."""
    return level >= _threshold


def write(level: Level, message: str, **fields: object) -> None:
    """Write one line; fields follow the message as `key=value`.

    What is not printable becomes a space, and what is too long is cut.
    """
    if level < _threshold:
        return
    tail = "".join(f" {key}={value}" for key, value in fields.items())
    line = (_entry or _own)(level.name.lower(), _one_line(f"{message}{tail}"))
    try:
        os.write(_fd, line.encode("utf-8", "replace"))
        if _anew is not None and os.fstat(_fd).st_size >= _most_bytes:
            _anew()
    except OSError:
        sys.exc_info()  # a log that cannot be written must not break what it reports on


def _one_line(text: str) -> str:
    cut = text if len(text) <= _MAX_LINE else f"{text[:_MAX_LINE]}…"
    return cut if cut.isprintable() else "".join(c if c.isprintable() else " " for c in cut)


def _own(level: str, message: str) -> str:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    return f"{stamp}Z {level} [{os.getpid()}] {message}\n"


def debug(message: str, **fields: object) -> None:
    """Detail for debugging."""
    write(Level.DEBUG, message, **fields)


def info(message: str, **fields: object) -> None:
    """A milestone."""
    write(Level.INFO, message, **fields)


def warning(message: str, **fields: object) -> None:
    """Something degraded but working."""
    write(Level.WARNING, message, **fields)


def error(message: str, **fields: object) -> None:
    """Something failed."""
    write(Level.ERROR, message, **fields)
