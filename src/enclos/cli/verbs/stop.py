"""`stop`: end containers by their stop signal, and after a while by SIGKILL."""

from __future__ import annotations

from enclos.cli import lookup, stopping
from enclos.cli.eachone import each
from enclos.cli.home import open_home
from enclos.cli.parse import Parsed
from enclos.linux import signals


def run(asked: Parsed) -> int:
    """Print the names of what was stopped."""
    home = open_home()
    signal = asked.text("signal")
    signals.parse(signal or "TERM")
    timeout_s = stopping.timeout_of(asked.text("time"))

    def stop(name: str) -> None:
        container = lookup.find(home, name)
        stopping.stop(home, container, signal=signal, timeout_s=timeout_s)

    return each(asked.operands, stop)
