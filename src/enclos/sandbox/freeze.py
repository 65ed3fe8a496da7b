"""`pause` and `resume`: freeze a container's processes, and thaw them."""

from __future__ import annotations

from enclos.oci.state import Operation, Status, check
from enclos.sandbox import reach
from enclos.state.store import StateRoot
from enclos.wire import control as c
from enclos.wire import messages as m


def pause(root: StateRoot, container_id: str) -> None:
    """Flush and freeze; raises `WrongState` unless running."""
    _ask(root, container_id, Operation.PAUSE)


def resume(root: StateRoot, container_id: str) -> None:
    """Thaw; raises `WrongState` unless paused."""
    _ask(root, container_id, Operation.RESUME)


def _ask(root: StateRoot, container_id: str, operation: Operation) -> None:
    _, status = reach.container(root, container_id)
    check(operation, Status(status), container_id)
    _, connection = reach.living(root, container_id)
    connection.call(operation.value, c.Named(container_id), m.Nothing)
    connection.close()
