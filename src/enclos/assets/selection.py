"""Copies chosen files out of an unpacked root, and nothing else.

By list rather than by removal: what nobody named is not there, neither documentation nor
programs that are setuid. Files are hard-linked, so source and target share a file system.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from enclos.assets import libraries
from enclos.errors import HostUnfit

MERGED: Final = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}
"""Links of a root whose programs all lie below /usr."""
LINKER_LINK: Final = f"usr/lib64/{libraries.LINKER}"
LINKER_TARGET: Final = f"../lib/{libraries.TRIPLET}/{libraries.LINKER}"


def take(root: Path, target: Path, names: Iterable[str]) -> None:
    """Put the files `names` of `root` below `target`, links replaced by what they lead to."""
    for name in names:
        source = (root / name).resolve()
        if not source.is_relative_to(root.resolve()) or not source.is_file():
            raise HostUnfit(
                f"the Debian packages brought no file {name}",
                hint="report this package set; until then configure another suite",
            )
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        os.link(source, place)


def take_libraries(root: Path, target: Path, programs: Iterable[str]) -> None:
    """Put the shared libraries of `programs`, and the links by which they are found."""
    found = libraries.closure(root, [root / program for program in programs])
    take(root, target, [path.relative_to(root).as_posix() for path in found])
    for name, place in MERGED.items():
        (target / place).mkdir(parents=True, exist_ok=True)
        (target / name).symlink_to(place)
    (target / LINKER_LINK).symlink_to(LINKER_TARGET)
