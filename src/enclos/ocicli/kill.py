"""`kill`: one request to the supervisor, with next to no imports."""

from __future__ import annotations

from enclos.errors import EnclosError, WrongState
from enclos.oci import signals
from enclos.ocicli import quick, where
from enclos.ocicli.parse import Invocation
from enclos.state import fast
from enclos.wire import frames


def run(call: Invocation) -> int:
    """See the table."""
    name = call.arguments[0]
    root = where.root_text(call)
    _, sandbox = fast.look(root, name)
    number = signals.parse(call.arguments[1] if len(call.arguments) > 1 else "TERM")
    everyone = "true" if call.flags.on("all") else "false"
    body = f'{{"id":"{name}","number":{number},"exec_id":"","everyone":{everyone}}}'
    answer = quick.request(f"{root}/sandboxes/{sandbox}", "signal", body) if sandbox else None
    if answer is None:
        if call.flags.on("all"):
            return 0  # runc: killing all of a stopped container is no error
        raise WrongState(f"container {name}: container not running")
    if answer[0] == frames.ERROR:
        raise _error(answer[1])
    return 0


def _error(body: bytes) -> EnclosError:
    """The supervisor's error; what follows has time for imports."""
    from enclos.wire import envelopes

    return envelopes.error_of(body)
