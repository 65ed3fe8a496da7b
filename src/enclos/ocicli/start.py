"""`start`: let a created container's program run."""

from __future__ import annotations

from enclos.config import load
from enclos.ocicli import where
from enclos.ocicli.parse import Invocation
from enclos.plan.notices import VARIABLE
from enclos.sandbox import start


def run(call: Invocation) -> int:
    """See the table."""
    start.start(where.root(call), call.arguments[0], ready=awaited())
    return 0


def awaited() -> bool:
    """Whether who called waits for the container to be ready: runc's `start` then does, too."""
    return bool(load.variable(VARIABLE))
