"""`resume`: let a paused container's processes go on."""

from __future__ import annotations

from enclos.ocicli import where
from enclos.ocicli.parse import Invocation
from enclos.sandbox import freeze


def run(call: Invocation) -> int:
    """See the table."""
    freeze.resume(where.root(call), call.arguments[0])
    return 0
