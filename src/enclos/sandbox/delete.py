"""`delete`: remove a container and what belongs to it, with or without its supervisor.

Everything needed is in the records: a supervisor that is gone, however it went, is no obstacle.
"""

from __future__ import annotations

from enclos.errors import EnclosError, Lost, NotFound, TimedOut, Unclean
from enclos.oci.state import Operation, Status, check
from enclos.sandbox import client, hooks, reach, release
from enclos.sandbox.client import Connection
from enclos.state import records
from enclos.state.records import ContainerRecord
from enclos.state.store import StateRoot
from enclos.wire import control as c
from enclos.wire import messages as m

END_TIMEOUT_S = 30


def delete(root: StateRoot, container_id: str, *, force: bool = False) -> None:
    """Remove a stopped or created container, any one with `force`.

    Raises `NotFound` for an unknown id and `WrongState` for a running one, in runc's words.
    """
    try:
        record, status = reach.container(root, container_id)
    except NotFound:
        _delete_abandoned(root, container_id)
        return
    except Unclean:
        if not force:
            raise
        release.sandbox(root, container_id)
        release.container(root, container_id)
        return
    if not force:
        check(Operation.DELETE, Status(status), container_id)
    _end(root, record, status)
    spec = reach.kept_spec(root, container_id)
    release.container(root, container_id)
    hooks.run_logged(spec, "poststop", record, status="stopped")


def _delete_abandoned(root: StateRoot, container_id: str) -> None:
    """Free an id whose creator died before it wrote a record."""
    if not records.is_abandoned(root, container_id):
        raise NotFound(f"container {container_id}: container does not exist")
    release.sandbox(root, container_id)
    release.container(root, container_id)


def _end(root: StateRoot, record: ContainerRecord, status: str) -> None:
    """Have the supervisor let go of the container, or do it in its place."""
    if status != "stopped" or record.sandbox_id != record.id:
        _ask_supervisor(root, record)
    release.end_process(record.process)
    for exec_record in records.all_execs(root, record.id):
        release.end_process(exec_record.process)
    if record.sandbox_id == record.id:
        release.sandbox(root, record.sandbox_id)


def _ask_supervisor(root: StateRoot, record: ContainerRecord) -> None:
    try:
        connection = client.connect(root.sandbox(record.sandbox_id))
        connection.call("delete", c.Named(record.id), m.Nothing, timeout_s=END_TIMEOUT_S)
        if record.sandbox_id == record.id:
            _wait_gone(connection)
        connection.close()
    except EnclosError:
        return  # it is going or gone; what it held is released from the records below


def _wait_gone(connection: Connection) -> None:
    try:
        while True:
            connection.receive(timeout_s=END_TIMEOUT_S)
    except (Lost, TimedOut):
        return
