"""`start`: let a created container's program run."""

from __future__ import annotations

import signal

from enclos import log
from enclos.errors import EnclosError
from enclos.oci.state import Operation, Status, check
from enclos.sandbox import hooks, notices, reach
from enclos.sandbox.client import Connection
from enclos.state.store import StateRoot
from enclos.wire import control as c
from enclos.wire import messages as m


def start(root: StateRoot, container_id: str, *, ready: bool = False) -> None:
    """Start it; raises `WrongState` with runc's words if it is not `created`.

    With `ready` it also waits until a container whose creator was to be told says that it is.

    A container whose `poststart` hook fails is stopped again (the specification's step 9).
    """
    record, status = reach.container(root, container_id)
    check(Operation.START, Status(status), container_id)
    record, connection = reach.living(root, container_id)
    connection.call("start", c.Named(container_id), m.Nothing)
    spec = reach.kept_spec(root, container_id)
    try:
        hooks.run(spec, ("poststart",), record, status="running")
        if ready:
            notices.wait_ready(connection, container_id)
    except (EnclosError, OSError):
        _stop(connection, container_id)
        raise
    finally:
        connection.close()


def _stop(connection: Connection, container_id: str) -> None:
    kill = m.Signal(container_id, signal.SIGKILL, everyone=True)
    try:
        connection.call("signal", kill, m.Nothing)
    except EnclosError as error:
        log.info("nothing left to stop", container=container_id, error=error)
