"""`create`: make a container without starting it."""

from __future__ import annotations

from enclos.cli import define, output
from enclos.cli.follow import stoppable
from enclos.cli.home import open_home
from enclos.cli.parse import Parsed


def run(asked: Parsed) -> int:
    """Print its id."""
    with stoppable():
        definition = define.define(open_home(), asked, detach=True)
    output.write(f"{definition.id}\n")
    return 0
