"""`ps`: list containers, the running ones unless asked for more."""

from __future__ import annotations

from enclos.cli import lookup, output, rows, wording
from enclos.cli.home import open_home
from enclos.cli.parse import Parsed


def run(asked: Parsed) -> int:
    """Newest first."""
    home = open_home()
    last = wording.whole_number(asked.text("last"), "--last") if asked.given("last") else 0
    last = 1 if asked.on("latest") else last
    filters = asked.texts("filter")
    by_state = any(text.startswith(("status=", "exited=")) for text in filters)
    everything = asked.on("all") or last > 0 or by_state
    found = rows.matching(lookup.everything(home), filters)
    shown = [one for one in found if everything or one.running]
    shown = shown[:last] if last else shown
    truncate = not asked.on("no-trunc")
    if asked.on("quiet"):
        digits = lookup.SHORT if truncate else None
        output.write("".join(f"{one.id[:digits]}\n" for one in shown))
        return 0
    listed = [rows.row(home, one, truncate=truncate) for one in shown]
    output.listing(listed, rows.COLUMNS, asked.text("format"))
    return 0
