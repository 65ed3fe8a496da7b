"""Turns crun's complaints into our errors, in the words that engines look for."""

from __future__ import annotations

import json

from enclos.errors import EnclosError, GuestFailed, InvalidRequest


def program_of(process: str) -> str:
    """First argument of an OCI process object as JSON; raises `InvalidRequest`."""
    try:
        arguments = json.loads(process)["args"]
        return str(arguments[0])
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise InvalidRequest(f"the process has no arguments: {error}") from error


def translate(complaint: str, *, program: str) -> EnclosError:
    """The error that `complaint` about starting `program` stands for."""
    return GuestFailed(complaint or "crun failed without a word")
