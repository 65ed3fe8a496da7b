"""`network ls`: list the networks with names."""

from __future__ import annotations

from enclos.cli import memberships, networklist, output
from enclos.cli.home import open_home
from enclos.cli.parse import Parsed
from enclos.state import networks


def run(asked: Parsed) -> int:
    """By name."""
    return networklist.status(lambda: _list(asked))


def _list(asked: Parsed) -> None:
    found = networks.everything(memberships.networks_of(open_home()))
    rows = [networklist.row(one, truncate=not asked.on("no-trunc")) for one in found]
    if asked.on("quiet"):
        output.write("".join(f"{row['ID']}\n" for row in rows))
        return
    output.listing(rows, networklist.COLUMNS, asked.text("format"))
