"""The agent's version: a digest of its sources and of what puts them into an initrd.

The version lies in the initrd, the agent says it in its Hello, and host code that would build
another agent does not talk to this one. Which files they are, says `closure`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

ENTRY: Final = "enclos.guest.main"
_RECIPE: Final = (
    "closure",
    "cpio",
    "elf",
    "guestcompile",
    "guestlist",
    "initrd",
    "libraries",
    "modules",
    "python",
    "selection",
)
"""Modules of this room that decide what is in an initrd besides the agent."""
PACKAGE_ROOT: Final = Path(__file__).resolve().parents[2]
"""Directory that holds the package `enclos`."""


def recipe() -> tuple[str, ...]:
    """Files that count for the version although they are not in the initrd."""
    return tuple(f"enclos/assets/{name}.py" for name in _RECIPE)


def version(files: Iterable[str], root: Path = PACKAGE_ROOT) -> str:
    """SHA-256 over names and bytes of `files`; raises `OSError` if one is gone."""
    digest = hashlib.sha256()
    for file in files:
        data = (root / file).read_bytes()
        digest.update(f"{file}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.hexdigest()
