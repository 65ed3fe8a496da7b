"""`list`: all containers below the state root."""

from __future__ import annotations

import json

from enclos.ocicli import report, where
from enclos.ocicli.parse import Invocation
from enclos.sandbox import reach
from enclos.state import records

_HEADERS = ("ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER")


def run(call: Invocation) -> int:
    """See the table."""
    root = where.root(call)
    states = [
        records.oci_state(record, status=reach.status_of(root, record))
        for record in records.all_containers(root)
    ]
    if call.flags.on("quiet"):
        report.answer("".join(f"{state['id']}\n" for state in states))
    elif call.flags.text("format") == "json":
        report.answer(json.dumps(states) + "\n")
    else:
        report.answer(_table(states))
    return 0


def _table(states: list[dict[str, object]]) -> str:
    rows = [_HEADERS, *(tuple(str(state[name.lower()]) for name in _HEADERS) for state in states)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADERS))]
    lines = ["   ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "\n".join(lines) + "\n"
