"""`state`: print the state that is kept rendered for it. The fastest of the fast verbs."""

from __future__ import annotations

import os

from enclos.ocicli import where
from enclos.ocicli.parse import Invocation
from enclos.state import fast


def run(call: Invocation) -> int:
    """See the table."""
    answer = fast.render(where.root_text(call), call.arguments[0])
    while answer:
        answer = answer[os.write(1, answer) :]
    return 0
