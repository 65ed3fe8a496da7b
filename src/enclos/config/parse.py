"""What is written in a configuration file or a variable becomes a setting's value. PURE.

Every complaint names the key and where it was found.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from enclos.config.settings import DEFAULTS, Accelerator, Kind, LogLevel, Row, Settings, rows
from enclos.errors import InvalidRequest

_UNITS: Final = {"": 1, "b": 1} | {
    letter + tail: 1024**power
    for power, letter in enumerate("kmgt", start=1)
    for tail in ("", "b", "ib")
}
_WORDS: Final = {
    "true": True, "yes": True, "on": True, "1": True,
    "false": False, "no": False, "off": False, "0": False,
}  # fmt: skip
_LARGEST_COUNT: Final = 1 << 62


def settings(written: Mapping[str, object], source: str, *, base: Settings = DEFAULTS) -> Settings:
    """`base` with what is `written` in `source`; raises `InvalidRequest` naming the key."""
    table = {row.name: row for row in rows()}
    changes: dict[str, Any] = {}
    for name, value in written.items():
        if name not in table:
            raise _unknown(name, source, list(table))
        changes[name] = _value(table[name], value, source)
    return dataclasses.replace(base, **changes)


def size(text: str) -> int:
    """Bytes from `1048576`, `512M`, `1.5g`, `1GiB`, `64kb`; raises `ValueError`.

    Units are powers of 1024, as docker's are.
    """
    lowered = text.strip().lower()
    number = lowered.rstrip("ibkmgt")
    unit = lowered[len(number) :]
    if unit not in _UNITS or not number.replace(".", "", 1).isdecimal() or not number.isascii():
        raise ValueError(f"{text!r} is not a size")
    return int(float(number) * _UNITS[unit]) if "." in number else int(number) * _UNITS[unit]


def _unknown(name: str, source: str, known: list[str]) -> InvalidRequest:
    from difflib import get_close_matches  # only for complaints

    close = get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]}?" if close else "see: man enclos-config"
    return InvalidRequest(f"{source}: unknown setting {name[:80]!r}", hint=hint)


def _value(row: Row, value: object, source: str) -> object:
    try:
        return _READERS[row.kind](value)
    except ValueError as error:
        raise InvalidRequest(
            f"{source}: {row.name}: {error}", hint=f"write it as {row.kind.value}"
        ) from error


def _path(value: object) -> Path:
    if not isinstance(value, str) or not value.startswith("/") or "\0" in value:
        raise ValueError(f"{value!r} is not an absolute path")
    return Path(value)


def _text(value: object) -> str:
    if not isinstance(value, str) or "\0" in value or "\n" in value:
        raise ValueError(f"{value!r} is not one line of text")
    return value


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _WORDS:
        return _WORDS[value.lower()]
    raise ValueError(f"{value!r} is neither true nor false")


def _size(value: object) -> int:
    if isinstance(value, str):
        value = size(value)
    return _count(value)


def _count(value: object) -> int:
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{value!r} is not a whole number")
    if not 0 <= value <= _LARGEST_COUNT:
        raise ValueError(f"{value} is out of range")
    return value


def _seconds(value: object) -> float:
    try:
        number = float(value) if isinstance(value, (int, float, str)) else -1.0
    except ValueError:
        number = -1.0
    if isinstance(value, bool) or not 0 < number <= 1e9:
        raise ValueError(f"{value!r} is not a time above 0")
    return number


def _choice(kind: type[StrEnum]) -> Callable[[object], StrEnum]:
    def read(value: object) -> StrEnum:
        known = [member.value for member in kind]
        if value not in known:
            raise ValueError(f"{value!r} is not one of {', '.join(known)}")
        return kind(value)

    return read


_READERS: Final[dict[Kind, Callable[[object], object]]] = {
    Kind.PATH: _path,
    Kind.TEXT: _text,
    Kind.FLAG: _flag,
    Kind.SIZE: _size,
    Kind.COUNT: _count,
    Kind.SECONDS: _seconds,
    Kind.ACCELERATOR: _choice(Accelerator),
    Kind.LEVEL: _choice(LogLevel),
}
