"""`network inspect`: everything about networks with names, as a JSON array."""

from __future__ import annotations

from typing import Any

from enclos.cli import complain, memberships, networklist, output
from enclos.cli.home import open_home
from enclos.cli.parse import Parsed
from enclos.errors import EnclosError
from enclos.state import networks


def run(asked: Parsed) -> int:
    """What is not found is complained about; the rest is shown."""
    known = memberships.networks_of(open_home())
    status = 0
    found: list[dict[str, Any]] = []
    for name in asked.operands:
        try:
            network = networks.find(known, name)
            members = networks.members(known, network.id)
            found.append(networklist.described(network, members))
        except EnclosError as error:
            complain.complain(error)
            status = networklist.FAILED
    output.inspected(found, asked.text("format"))
    return status
