"""Finds the shared libraries a program needs, by asking the unpacked root's own dynamic linker."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from enclos.errors import HostUnfit
from enclos.linux import process

TRIPLET: Final = "x86_64-linux-gnu"
LINKER: Final = "ld-linux-x86-64.so.2"


def linker_command(root: Path) -> list[str]:
    """Start of a command that runs a program of `root` with the libraries of `root`."""
    libraries = root / "usr/lib" / TRIPLET
    return [str(libraries / LINKER), "--library-path", str(libraries)]


def closure(root: Path, programs: Iterable[Path]) -> list[Path]:
    """Every shared library that `programs` need, as paths inside `root`, sorted."""
    found: set[Path] = set()
    for program in programs:
        listed = process.run([*linker_command(root), "--list", str(program)]).stdout.decode()
        found.update(_parse(listed, root, program))
    return sorted(found)


def _parse(listed: str, root: Path, program: Path) -> Iterable[Path]:
    for line in listed.splitlines():
        name, arrow, target = line.strip().partition(" => ")
        if target.startswith("not found"):
            raise HostUnfit(
                f"{program.name} needs {name}, which its packages did not bring",
                hint="report this package set; until then configure another suite",
            )
        if arrow:
            yield root / "usr/lib" / TRIPLET / Path(target.partition(" (")[0]).name
