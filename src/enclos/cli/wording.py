"""Sizes, times and numbers as people write and read them, in docker's manner. PURE."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from enclos.errors import InvalidRequest

_DECIMAL: Final = ("B", "kB", "MB", "GB", "TB", "PB")
_BINARY: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_SPANS: Final = (
    (60, 1, "second"),
    (3600, 60, "minute"),
    (48 * 3600, 3600, "hour"),
    (14 * 86400, 86400, "day"),
    (60 * 86400, 7 * 86400, "week"),
    (730 * 86400, 30 * 86400, "month"),
    (float("inf"), 365 * 86400, "year"),
)
_UNITS_S: Final = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h|d)")
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?"
)


def decimal_size(count: float) -> str:
    """`12.3MB`, units of 1000, three digits; for files and the like."""
    return _size(count, 1000, _DECIMAL)


def binary_size(count: float) -> str:
    """`11.7MiB`, units of 1024; for memory."""
    return _size(count, 1024, _BINARY)


def _size(count: float, base: int, units: tuple[str, ...]) -> str:
    at = 0
    while count >= base and at < len(units) - 1:
        count /= base
        at += 1
    return f"{count:.4g}{units[at]}"


def span(seconds: float) -> str:
    """`3 hours`, `About a minute`: how long, roughly."""
    if seconds < 1:
        return "Less than a second"
    if 60 <= seconds < 120:
        return "About a minute"
    if 3600 <= seconds < 7200:
        return "About an hour"
    divisor, unit = next((div, name) for limit, div, name in _SPANS if seconds < limit)
    number = int(seconds / divisor)
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def since(stamp: str, now_ns: int) -> str:
    """How long ago a record's time was; empty for none."""
    return span((now_ns - stamp_ns(stamp)) / 1e9) if stamp else ""


def stamp_ns(stamp: str) -> int:
    """A record's time (RFC 3339, UTC, nanoseconds) as Unix time; 0 for none."""
    return moment_ns(stamp, now_ns=0) if stamp else 0


def shown_stamp(stamp: str) -> str:
    """A record's time as docker lists it."""
    return stamp.replace("T", " ").partition(".")[0].rstrip("Z") + " +0000 UTC" if stamp else ""


def duration_s(text: str) -> float:
    """Seconds of `90`, `1.5s`, `1h30m`; raises `InvalidRequest`."""
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    pieces = _DURATION.findall(text)
    if not pieces or "".join(number + unit for number, unit in pieces) != text:
        raise InvalidRequest(f"{text[:60]!r} is not a length of time", hint="write 90, 10s or 1h5m")
    return sum(float(number) * _UNITS_S[unit] for number, unit in pieces)


def moment_ns(text: str, *, now_ns: int) -> int:
    """Unix time in nanoseconds of an RFC 3339 time, a Unix time, or a length of time ago."""
    if re.fullmatch(r"\d{9,}(\.\d{1,9})?", text):
        seconds, _, rest = text.partition(".")
        return int(seconds) * 10**9 + int(rest.ljust(9, "0") or "0")
    match = _TIME.fullmatch(text)
    if match is None:
        return now_ns - int(duration_s(text) * 1e9)
    day, clock, fraction, zone = match.groups()
    try:
        whole = datetime.fromisoformat(f"{day}T{clock or '00:00:00'}")
    except ValueError as error:
        raise InvalidRequest(f"{text[:60]!r} is not a time") from error
    whole_s = int((whole - _offset(zone)).replace(tzinfo=UTC).timestamp())
    return whole_s * 10**9 + int((fraction or ".0")[1:].ljust(9, "0"))


def _offset(zone: str | None) -> timedelta:
    if zone in {None, "Z"} or zone is None:
        return timedelta()
    hours, minutes = int(zone[1:3]), int(zone[-2:])
    ahead = timedelta(hours=hours, minutes=minutes)
    return -ahead if zone[0] == "-" else ahead


def whole_number(text: str, what: str, *, least: int = 0) -> int:
    """A number from a flag; raises `InvalidRequest` naming `what`."""
    try:
        number = int(text) if text.isascii() else None
    except ValueError:
        number = None
    if number is None or number < least:
        raise InvalidRequest(
            f"{what} {text[:60]!r} is not a whole number", hint=f"write a number from {least} up"
        )
    return number
