"""`unpause`: let the processes of paused containers go on."""

from __future__ import annotations

from enclos.cli import lookup
from enclos.cli.eachone import each
from enclos.cli.home import open_home
from enclos.cli.parse import Parsed
from enclos.sandbox import freeze


def run(asked: Parsed) -> int:
    """Print the names of what was thawed."""
    home = open_home()
    return each(asked.operands, lambda name: freeze.resume(home.root, lookup.find(home, name).id))
