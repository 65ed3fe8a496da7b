"""`network disconnect`: take a container out of a network."""

from __future__ import annotations

from enclos.cli import connecting, memberships, networklist
from enclos.cli.follow import stoppable
from enclos.cli.home import open_home
from enclos.cli.parse import Parsed
from enclos.state import networks


def run(asked: Parsed) -> int:
    """Says nothing."""
    reference, container = asked.operands

    def disconnect() -> None:
        home = open_home()
        network = networks.find(memberships.networks_of(home), reference)
        with stoppable():
            connecting.disconnect(home, network, container)

    return networklist.status(disconnect)
