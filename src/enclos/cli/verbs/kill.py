"""`kill`: send containers a signal."""

from __future__ import annotations

from enclos.cli import lookup
from enclos.cli.eachone import each
from enclos.cli.home import open_home
from enclos.cli.parse import Parsed
from enclos.errors import WrongState
from enclos.linux import signals
from enclos.sandbox import kill as sandbox_kill


def run(asked: Parsed) -> int:
    """Print the names of what was signalled."""
    number = signals.parse(asked.text("signal", "KILL"))
    home = open_home()

    def kill(name: str) -> None:
        container = lookup.find(home, name)
        if not container.running:
            raise WrongState(
                f"cannot kill container {name}: it is not running", hint="see: enclos ps --all"
            )
        sandbox_kill.kill(home.root, container.id, number)

    return each(asked.operands, kill)
