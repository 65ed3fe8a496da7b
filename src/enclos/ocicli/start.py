"""`start`: let a created container's program run."""

from __future__ import annotations

from enclos.ocicli import where
from enclos.ocicli.parse import Invocation
from enclos.sandbox import start


def run(call: Invocation) -> int:
    """See the table."""
    start.start(where.root(call), call.arguments[0])
    return 0
