"""`restart`: stop containers and start them again, each in a new machine."""

from __future__ import annotations

from enclos.cli import belongings, launch, lookup, stopping
from enclos.cli.eachone import each
from enclos.cli.follow import stoppable
from enclos.cli.home import open_home
from enclos.cli.launch import Launch
from enclos.cli.parse import Parsed


def run(asked: Parsed) -> int:
    """Print the names of what was restarted."""
    home = open_home()
    timeout_s = stopping.timeout_of(asked.text("time"))

    def restart(name: str) -> None:
        definition = lookup.find(home, name).defined()
        with belongings.alone(home, definition.id):
            container = lookup.find(home, definition.id)
            stopping.stop(home, container, signal=asked.text("signal"), timeout_s=timeout_s)
            launched = launch.launch_alone(home, definition, Launch())
        launched.connection.close()
        launch.stay_behind(home, definition, launched)

    with stoppable():
        return each(asked.operands, restart)
