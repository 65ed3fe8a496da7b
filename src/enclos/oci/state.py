"""A container's statuses and which operation is allowed in which, in runc's words.

Engines compare these messages, so they are runc's to the letter.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from enclos.errors import WrongState


class Status(StrEnum):
    """Where a container is in its life."""

    CREATING = "creating"
    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"


class Operation(StrEnum):
    """What the lifecycle has a say in."""

    START = "start"
    KILL = "kill"
    DELETE = "delete"
    EXEC = "exec"
    PAUSE = "pause"
    RESUME = "resume"
    PS = "ps"


_ALIVE: Final = frozenset({Status.CREATED, Status.RUNNING, Status.PAUSED})
_ALLOWED: Final[dict[Operation, frozenset[Status]]] = {
    Operation.START: frozenset({Status.CREATED}),
    Operation.KILL: _ALIVE,
    Operation.DELETE: frozenset({Status.CREATED, Status.STOPPED}),
    Operation.EXEC: frozenset({Status.CREATED, Status.RUNNING}),
    Operation.PAUSE: frozenset({Status.CREATED, Status.RUNNING}),
    Operation.RESUME: frozenset({Status.PAUSED}),
    Operation.PS: _ALIVE,
}
_NOT_RUNNING: Final = "container not running"


def check(operation: Operation, status: Status, container_id: str) -> None:
    """Raises `WrongState` in runc's words if a container in `status` does not allow this.

    `kill --all` of a stopped container and `delete --force` are allowed always: do not ask.
    """
    if status not in _ALLOWED[operation]:
        raise WrongState(_complaint(operation, status, container_id))


def _complaint(operation: Operation, status: Status, container_id: str) -> str:
    if operation is Operation.START:
        if status is Status.STOPPED:
            return "cannot start a container that has stopped"
        if status is Status.CREATING:
            return "cannot start a container that is being created"
        return "cannot start an already running container"
    if operation is Operation.DELETE:
        return f"cannot delete container {container_id} that is not stopped: {status}"
    if operation is Operation.EXEC:
        return f"cannot exec in a {status} container"
    return "container not paused" if operation is Operation.RESUME else _NOT_RUNNING
