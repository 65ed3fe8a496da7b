"""`template rm`: remove templates, damaged ones as well; what runs from them goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from enclos.cli.eachone import each
from enclos.cli.home import open_home
from enclos.cli.parse import Parsed
from enclos.errors import InvalidRequest, NotFound
from enclos.linux import files

_SHORT: Final = 12


def run(asked: Parsed) -> int:
    """Print the ids of what was removed."""
    place = open_home().data_root / "templates"
    if not asked.operands and not asked.on("all"):
        raise InvalidRequest("no template is named", hint="name templates, or use --all")
    names = [path.name[:_SHORT] for path in _all(place)] if asked.on("all") else asked.operands
    return each(names, lambda name: _remove(place, name))


def _remove(place: Path, name: str) -> None:
    matching = [path for path in _all(place) if name and path.name.startswith(name)]
    if len(matching) != 1:
        few = "no such template" if not matching else "several templates begin with"
        raise NotFound(f"{few}: {name[:80]}", hint="see: enclos template list")
    files.remove_tree(matching[0])


def _all(place: Path) -> list[Path]:
    found = sorted(place.iterdir()) if place.is_dir() else []
    return [path for path in found if path.is_dir() and not path.name.startswith(".")]
