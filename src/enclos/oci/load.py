"""Reads and writes the JSON files of the runtime specification.

Loading is total: any bytes become an instance or an `InvalidRequest`. It does not judge values;
`validate` does.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final, NoReturn, TypeVar

from enclos.errors import InvalidRequest
from enclos.oci import codec
from enclos.oci.resources import Resources
from enclos.oci.types import Process, Spec

MAX_BYTES: Final = 16 << 20
"""Four times what a spec at the kernel's own limits of arguments takes."""

_T = TypeVar("_T", Spec, Process, Resources)


def load_spec(text: bytes | str, *, file: str = "config.json") -> Spec:
    """The spec in `text`; raises `InvalidRequest` naming `file` and the member."""
    return _load(Spec, text, file)


def load_process(text: bytes | str, *, file: str = "process.json") -> Process:
    """A process object on its own, as `exec --process` takes it."""
    return _load(Process, text, file)


def load_resources(text: bytes | str, *, file: str = "resources.json") -> Resources:
    """A resources object on its own, as `update --resources` takes it."""
    return _load(Resources, text, file)


def dump_spec(spec: Spec, *, indent: int | None = None) -> str:
    """The spec as JSON text."""
    return _dump(spec, indent)


def dump_process(process: Process) -> str:
    """The process object as JSON text."""
    return _dump(process, None)


def dump_resources(resources: Resources) -> str:
    """The resources object as JSON text."""
    return _dump(resources, None)


def _dump(value: Spec | Process | Resources, indent: int | None) -> str:
    separators = (",", ":") if indent is None else None
    document = codec.encode(value)
    return json.dumps(document, ensure_ascii=False, indent=indent, separators=separators)


def _load(kind: type[_T], text: bytes | str, file: str) -> _T:
    if len(text) > MAX_BYTES:
        raise InvalidRequest(
            f"{file}: {len(text)} bytes are more than {MAX_BYTES}", hint="make it smaller"
        )
    try:
        string = text.decode() if isinstance(text, bytes) else text
        raw: Any = json.loads(
            string.removeprefix("\ufeff"), parse_constant=_refuse, parse_float=_finite
        )
        string.encode()
        _check_text(raw)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(
            f"{file}: not valid JSON: {_reason(error)}", hint="write it as UTF-8 JSON"
        ) from error
    return codec.decode(kind, raw, file=file)


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "too deeply nested"
    return str(error)[:200]


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is too large")
    return value


def _check_text(raw: Any) -> None:
    """Raises `ValueError` for strings no C program can take: half characters and NUL."""
    pending: list[Any] = [raw]
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            value.encode()
            if "\0" in value:
                raise ValueError(f"{value[:40]!r} contains a NUL character")
        elif isinstance(value, list):
            pending.extend(value)  # pyright: ignore[reportUnknownArgumentType]
        elif isinstance(value, dict):
            pending.extend(value)  # pyright: ignore[reportUnknownArgumentType]
            pending.extend(value.values())  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
