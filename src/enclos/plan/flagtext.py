"""Small readers for the text of flags; each names the flag in what it refuses. PURE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from enclos.config import parse
from enclos.errors import InvalidRequest

UNLIMITED: Final = (1 << 64) - 1


def bad(flag: str, value: str, reason: str, *, hint: str = "") -> InvalidRequest:
    """The error about one flag's value."""
    return InvalidRequest(
        f"invalid argument {value[:120]!r} for --{flag}: {reason}",
        hint=hint or "see: enclos run --help",
    )


def size(flag: str, value: str) -> int:
    """Bytes from `512M`; -1 stays -1. Raises `InvalidRequest`."""
    if value == "-1":
        return -1
    try:
        return parse.size(value)
    except ValueError as error:
        raise bad(flag, value, "it is no size", hint="write 512M, 1g or a number of bytes") from (
            error
        )


def integer(flag: str, value: str) -> int:
    """A whole number, perhaps negative; raises `InvalidRequest`."""
    digits = value.removeprefix("-")
    if not digits.isdecimal() or not digits.isascii() or len(digits) > 18:
        raise bad(flag, value, "it is no whole number")
    return int(value)


def decimal(flag: str, value: str) -> float:
    """A number such as 1.5, zero or more; raises `InvalidRequest`."""
    whole, _, part = value.partition(".")
    if not (whole + part).isdecimal() or not value.isascii() or len(value) > 18:
        raise bad(flag, value, "it is no number of zero or more")
    return float(value)


def assignments(flag: str, values: Sequence[str], *, bare: bool = False) -> dict[str, str]:
    """`NAME=VALUE` texts, the last of a name counting; with `bare` a name alone is empty."""
    found: dict[str, str] = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not name or not (equals or bare):
            raise bad(flag, value, "it is not NAME=VALUE")
        found[name] = text
    return found


def check_text(flag: str, value: str) -> str:
    """`value` if the kernel can take it as a string; raises `InvalidRequest` for a NUL."""
    if "\0" in value:
        raise bad(flag, value, "it contains a NUL")
    return value
