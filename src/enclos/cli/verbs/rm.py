"""`rm`: remove containers with all they wrote."""

from __future__ import annotations

from enclos.cli import lookup, removal
from enclos.cli.eachone import each
from enclos.cli.home import Home, open_home
from enclos.cli.parse import Parsed
from enclos.errors import NotFound, Unclean
from enclos.state import definitions


def run(asked: Parsed) -> int:
    """Print the names of what was removed."""
    home = open_home()
    force = asked.on("force")
    return each(asked.operands, lambda name: _remove(home, name, force=force))


def _remove(home: Home, name: str, *, force: bool) -> None:
    try:
        removal.remove(home, lookup.find(home, name), force=force)
    except NotFound:
        if not force:
            raise
    except Unclean:
        if not force:
            raise
        removal.drop(home, definitions.resolve(home.data_root, name))
