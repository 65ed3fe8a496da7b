"""`restart`: stop containers and start them again, each in a new machine."""

from __future__ import annotations

from enclos.cli import lookup, stopping
from enclos.cli.eachone import each
from enclos.cli.follow import stoppable
from enclos.cli.home import open_home
from enclos.cli.parse import Parsed
from enclos.cli.verbs import start


def run(asked: Parsed) -> int:
    """Print the names of what was restarted."""
    home = open_home()
    timeout_s = stopping.timeout_of(asked.text("time"))

    def restart(name: str) -> None:
        container = lookup.find(home, name)
        container.defined()
        stopping.stop(home, container, signal=asked.text("signal"), timeout_s=timeout_s)
        start.start(home, container.id)

    with stoppable():
        return each(asked.operands, restart)
