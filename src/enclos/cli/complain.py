"""Errors as people see them: one line, then the evidence if there is any, then what to do next."""

from __future__ import annotations

import os

from enclos.errors import EXIT_CODES, EnclosError, code_of, of_system

_MAX_LINE = 2000


def complain(error: EnclosError | OSError) -> int:
    """Print `error` on stderr; the exit status that goes with it."""
    told = of_system(error) if isinstance(error, OSError) else error
    say(_one_line(told.message))
    for line in told.detail.splitlines():
        write(f"  {line}\n")
    if told.hint:
        write(f"hint: {_one_line(told.hint)}\n")
    return status_of(told)


def status_of(error: EnclosError) -> int:
    """The exit status for an error: its class's, or the nearest base's."""
    return code_of(error, EXIT_CODES)


def say(message: str) -> None:
    """A message on stderr."""
    write(f"enclos: {message}\n")


def write(text: str) -> None:
    """Text to stderr, at once; a stderr that nobody reads is no reason to fail."""
    data = text.encode("utf-8", "surrogateescape")
    try:
        while data:
            data = data[os.write(2, data) :]
    except OSError:
        return


def _one_line(text: str) -> str:
    """What came from elsewhere may hold line breaks and control characters."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    flat = " ".join(shown.split())
    return flat if len(flat) <= _MAX_LINE else f"{flat[:_MAX_LINE]}…"
