"""`network rm`: remove networks that no container is in."""

from __future__ import annotations

from enclos.cli import memberships, networklist
from enclos.cli.eachone import each
from enclos.cli.home import open_home
from enclos.cli.parse import Parsed
from enclos.errors import NotFound
from enclos.state import networks


def run(asked: Parsed) -> int:
    """Print the names of what was removed."""
    known = memberships.networks_of(open_home())

    def remove(name: str) -> None:
        try:
            with networks.locked(known):
                networks.remove(known, networks.find(known, name))
        except NotFound:
            if not asked.on("force"):
                raise

    return networklist.FAILED if each(asked.operands, remove) else 0
