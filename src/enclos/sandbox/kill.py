"""`kill`: send a signal to a container's init, an exec process, or everything in it."""

from __future__ import annotations

from enclos.sandbox import reach
from enclos.state.store import StateRoot
from enclos.wire import messages as m


def kill(
    root: StateRoot, container_id: str, number: int, *, everyone: bool = False, exec_id: str = ""
) -> None:
    """Send signal `number`, 0 to ask; raises `WrongState` if nothing runs."""
    _, connection = reach.living(root, container_id)
    request = m.Signal(container_id, number, exec_id=exec_id, everyone=everyone)
    connection.call("signal", request, m.Nothing)
    connection.close()
