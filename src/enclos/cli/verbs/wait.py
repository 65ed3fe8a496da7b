"""`wait`: wait for containers' ends and print their exit statuses, in the order given."""

from __future__ import annotations

from enclos.cli import lookup, output
from enclos.cli.eachone import each
from enclos.cli.home import open_home
from enclos.cli.parse import Parsed
from enclos.errors import WrongState
from enclos.sandbox import wait as sandbox_wait


def run(asked: Parsed) -> int:
    """One status on each line."""
    home = open_home()

    def wait(name: str) -> None:
        container = lookup.find(home, name)
        if container.status == "created":
            raise WrongState(f"container {name} has not been started", hint="see: enclos start")
        ended = container.exit_status
        if container.running:
            ended = sandbox_wait.wait(home.root, container.id).status
        output.write(f"{ended}\n")

    return each(asked.operands, wait, quiet=True)
