"""Identifiers: container, sandbox and exec ids, and the names people give."""

from __future__ import annotations

import os
import re
from typing import Final

from enclos.errors import InvalidRequest

_MAX_COMPONENT: Final = 200
_ID = re.compile(r"[A-Za-z0-9_+.-]+")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def new_id() -> str:
    """A fresh 64-digit hexadecimal id, as docker's and podman's."""
    return os.urandom(32).hex()


def check_id(value: str) -> str:
    """`value` if it can be a container id by runc's rule (letters, digits, `_+-.`).

    Raises `InvalidRequest` for an empty, over-long or path-like id.
    """
    if not value or value in {".", ".."} or not _ID.fullmatch(value):
        raise InvalidRequest(
            f"invalid container id {value[:80]!r}",
            hint="use letters, digits and _ + - . only",
        )
    if len(value) > _MAX_COMPONENT:
        raise InvalidRequest(
            f"container id of {len(value)} characters is too long",
            hint=f"use at most {_MAX_COMPONENT} characters",
        )
    return value


def check_name(value: str) -> str:
    """`value` if it can name a container by docker's rule; raises `InvalidRequest`."""
    if not _NAME.fullmatch(value) or len(value) > _MAX_COMPONENT:
        raise InvalidRequest(
            f"invalid container name {value[:80]!r}",
            hint="start with a letter or digit, then letters, digits and _ . - only",
        )
    return value
