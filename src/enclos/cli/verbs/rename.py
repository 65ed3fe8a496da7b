"""`rename`: give a container another name."""

from __future__ import annotations

from dataclasses import replace

from enclos.cli import lookup
from enclos.cli.home import open_home
from enclos.cli.parse import Parsed
from enclos.state import definitions


def run(asked: Parsed) -> int:
    """Says nothing."""
    home = open_home()
    reference, name = asked.operands
    definition = lookup.find(home, reference).defined()
    definitions.rename(home.data_root, definition, replace(definition, name=name))
    return 0
