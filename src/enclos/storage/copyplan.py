"""docker cp's table: what a source and a destination together mean. PURE.

destination            source is a file           source is a directory
a directory            into it, own name          into it, own name (`/.`: what is in it)
a file                 in its place               refused
missing                made as a file             made as a directory, with what is in it
missing, with a `/`    refused                    made as a directory
"""

from __future__ import annotations

import os
from typing import Final

from enclos.errors import InvalidRequest, NotFound
from enclos.structs import dataclass


@dataclass(frozen=True, slots=True)
class Operand:
    """One side as it was written, and what was found there, links followed where they are."""

    text: str
    exists: bool
    is_directory: bool


@dataclass(frozen=True, slots=True)
class CopyPlan:
    """Put the source below `directory` (a path without links at its end) under `name`."""

    directory: str
    name: str


_CONTENTS: Final = "."


def plan_copy(source: Operand, target: Operand) -> CopyPlan:
    """Where a copy goes; raises `NotFound` or `InvalidRequest`."""
    if not source.exists:
        raise NotFound(f"cannot copy {source.text!r}: no such file or directory")
    if wants_directory(source.text) and not source.is_directory:
        raise InvalidRequest(f"cannot copy {source.text!r}: not a directory")
    name = base_name(source.text)
    if target.exists and target.is_directory:
        return CopyPlan(normal(target.text), name)
    if target.exists and (source.is_directory or wants_directory(target.text)):
        raise InvalidRequest(
            f"cannot copy {source.text!r} to {target.text!r}, which is not a directory",
            hint="name a directory, or something that does not exist",
        )
    if not source.is_directory and wants_directory(target.text):
        raise NotFound(
            f"cannot copy to {target.text!r}: no such directory", hint="make the directory first"
        )
    above, last = os.path.split(normal(target.text))
    return CopyPlan(above, last)


def wants_directory(text: str) -> bool:
    """Whether a path says by its end that it means a directory."""
    return text.endswith(("/", "/.", "/..")) or text in {".", ".."}


def wants_contents(text: str) -> bool:
    """Whether a path means what is in a directory rather than the directory."""
    return text.endswith("/.") or text == "."


def base_name(text: str) -> str:
    """The name under which a source is copied; `.` for its contents only."""
    if wants_contents(text):
        return _CONTENTS
    return os.path.basename(normal(text)) or _CONTENTS


def normal(text: str) -> str:
    """The path made absolute from the root and without `.` and `..`, as docker does it."""
    return os.path.normpath("/" + text.lstrip("/"))
