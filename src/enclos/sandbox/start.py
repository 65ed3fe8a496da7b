"""`start`: let a created container's program run."""

from __future__ import annotations

from enclos.oci.state import Operation, Status, check
from enclos.sandbox import hooks, reach
from enclos.state.store import StateRoot
from enclos.wire import control as c
from enclos.wire import messages as m


def start(root: StateRoot, container_id: str) -> None:
    """Start it; raises `WrongState` with runc's words if it is not `created`."""
    record, status = reach.container(root, container_id)
    check(Operation.START, Status(status), container_id)
    record, connection = reach.living(root, container_id)
    connection.call("start", c.Named(container_id), m.Nothing)
    connection.close()
    spec = reach.kept_spec(root, container_id)
    hooks.run_logged(spec, "poststart", record, status="running")
