"""`pause`: stop all processes of a container for a while."""

from __future__ import annotations

from enclos.ocicli import where
from enclos.ocicli.parse import Invocation
from enclos.sandbox import freeze


def run(call: Invocation) -> int:
    """See the table."""
    freeze.pause(where.root(call), call.arguments[0])
    return 0
