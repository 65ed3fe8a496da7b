from __future__ import annotations

import pytest

from enclos.errors import WrongState
from enclos.oci.state import Operation, Status, check

ALLOWED = {
    Operation.START: "created",
    Operation.KILL: "created running paused",
    Operation.DELETE: "created stopped",
    Operation.EXEC: "created running",
    Operation.PAUSE: "created running",
    Operation.RESUME: "paused",
    Operation.PS: "created running paused",
}


@pytest.mark.parametrize("operation", Operation)
@pytest.mark.parametrize("status", Status)
def test_the_lifecycle(operation: Operation, status: Status) -> None:
    if status in ALLOWED[operation].split():
        check(operation, status, "x")
        return
    with pytest.raises(WrongState):
        check(operation, status, "x")


@pytest.mark.parametrize(
    ("operation", "status", "words"),
    [
        (Operation.START, Status.RUNNING, "cannot start an already running container"),
        (Operation.START, Status.STOPPED, "cannot start a container that has stopped"),
        (Operation.KILL, Status.STOPPED, "container not running"),
        (Operation.PAUSE, Status.STOPPED, "container not running"),
        (Operation.RESUME, Status.RUNNING, "container not paused"),
        (
            Operation.DELETE,
            Status.RUNNING,
            "cannot delete container x that is not stopped: running",
        ),
        (Operation.EXEC, Status.STOPPED, "cannot exec in a stopped container"),
        (Operation.EXEC, Status.PAUSED, "cannot exec in a paused container"),
    ],
)
def test_the_words_are_runcs(operation: Operation, status: Status, words: str) -> None:
    with pytest.raises(WrongState) as caught:
        check(operation, status, "x")
    assert caught.value.message == words
