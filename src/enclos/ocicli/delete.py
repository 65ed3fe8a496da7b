"""`delete`: remove a container; with --force an unknown one is no error, as runc has it."""

from __future__ import annotations

from enclos.errors import NotFound
from enclos.ocicli import where
from enclos.ocicli.parse import Invocation
from enclos.sandbox import delete


def run(call: Invocation) -> int:
    """See the table."""
    force = call.flags.on("force")
    try:
        delete.delete(where.root(call), call.arguments[0], force=force)
    except NotFound:
        if not force:
            raise
    return 0
