"""`attach`: join the streams of a running container."""

from __future__ import annotations

from collections.abc import Sequence

from enclos.errors import Lost, NotFound, WrongState
from enclos.sandbox import reach
from enclos.sandbox.client import Connection
from enclos.state.store import StateRoot
from enclos.wire import control as c
from enclos.wire import messages as m


def attach(
    root: StateRoot, container_id: str, *, descriptors: Sequence[int], stdin: bool
) -> Connection:
    """Couple `descriptors` (stdin if `stdin`, stdout, stderr; or one terminal) to the container.

    Returns the connection, on which `wait_on` can follow.
    """
    _, connection = reach.living(root, container_id)
    request = c.Attach(container_id, stdin)
    connection.call("attach", request, m.Nothing, descriptors=descriptors)
    return connection


def resize(connection: Connection, container_id: str, *, rows: int, columns: int) -> None:
    """Tell the container's terminal its size."""
    connection.call("resize", m.Resize(container_id, rows, columns), m.Nothing)


def resize_process(
    root: StateRoot, container_id: str, exec_id: str, *, rows: int, columns: int
) -> None:
    """The same for init (`exec_id` is empty) or an exec process, on a connection of its own; one
    that has just ended is no error."""
    try:
        _, connection = reach.living(root, container_id)
        size = m.Resize(container_id, rows, columns, exec_id)
        connection.call("resize", size, m.Nothing)
    except (NotFound, WrongState, Lost):
        return
    connection.close()
