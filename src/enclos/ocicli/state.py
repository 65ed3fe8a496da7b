"""`state`: print the state that is kept rendered for it. The fastest of the fast verbs."""

from __future__ import annotations

from enclos.ocicli import report, where
from enclos.ocicli.parse import Invocation
from enclos.state import fast


def run(call: Invocation) -> int:
    """See the table."""
    report.answer(fast.render(where.root_text(call), call.arguments[0]))
    return 0
