"""`wait`: how a container's process ended, as soon as it has."""

from __future__ import annotations

import time
from typing import Final

from enclos.errors import Lost, NotFound, TimedOut, WrongState
from enclos.sandbox import reach
from enclos.sandbox.client import Connection
from enclos.state.store import StateRoot
from enclos.wire.control import Ended, Named

_LEAVE_S: Final = 30.0
_POLL_S: Final = 0.02


def wait(root: StateRoot, container_id: str) -> Ended:
    """Wait for a container's init, however long that takes; raises `NotFound`.

    A container whose supervisor died without a word ended with 137, and the reason says so.
    """
    try:
        _, connection = reach.living(root, container_id)
    except WrongState:
        return recorded(root, container_id)
    return wait_on(root, connection, container_id)


def wait_on(root: StateRoot, connection: Connection, container_id: str) -> Ended:
    """The same on a connection that is open already."""
    try:
        ended = connection.call("wait", Named(container_id), Ended, timeout_s=None)
        _wait_leave(connection, ended)
    except (Lost, NotFound):
        return recorded(root, container_id)
    finally:
        connection.close()
    return ended


def recorded(root: StateRoot, container_id: str) -> Ended:
    """How a stopped container ended, by its record.

    A supervisor that is leaving takes no connections any more before it has written that.
    """
    deadline = time.monotonic() + _LEAVE_S
    while True:
        record, _ = reach.container(root, container_id)
        if record.exit_status is not None:
            return Ended(record.exit_status, record.exit_reason)
        if time.monotonic() >= deadline:
            raise Lost(f"container {container_id}: its supervisor went away while it ran")
        time.sleep(_POLL_S)


def _wait_leave(connection: Connection, ended: Ended) -> None:
    """Wait until a supervisor that is leaving has left: then nothing of the sandbox is there."""
    try:
        while ended.leaving:
            connection.receive(timeout_s=_LEAVE_S)
    except (Lost, TimedOut):
        return
