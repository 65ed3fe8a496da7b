"""`sweep`: release what crashes left behind, by the records alone.

A container is swept when its supervisor is dead without having said how it ended: it is marked
stopped, its stand-ins are ended, its sandbox is released. The container itself stays, stopped,
until somebody deletes it. Ids whose creator died half way are freed.
"""

from __future__ import annotations

from enclos.errors import EnclosError, NotFound
from enclos.sandbox import reach, release
from enclos.state import records, store
from enclos.state.records import ContainerRecord
from enclos.state.store import StateRoot


def sweep(root: StateRoot) -> list[str]:
    """Release everything that nobody owns any more; says what was done, a line each."""
    done = [f"finished the removal of {path.name}" for path in store.purge_condemned(root)]
    for container_id in root.container_ids():
        done += _sweep_container(root, container_id)
    for sandbox_id in root.sandbox_ids():
        done += _sweep_sandbox(root, sandbox_id)
    return done


def _sweep_container(root: StateRoot, container_id: str) -> list[str]:
    try:
        record, status = reach.container(root, container_id)
    except NotFound:
        if not records.is_abandoned(root, container_id):
            return []
        release.sandbox(root, container_id)
        release.container(root, container_id)
        return [f"freed the id {container_id}: its creator died"]
    except EnclosError as error:
        return [f"left {container_id} alone: {error}"]
    if status != "stopped" or record.status == "stopped":
        return []
    mark_lost(root, record)
    return [f"marked {container_id} as stopped: its supervisor died"]


def mark_lost(root: StateRoot, record: ContainerRecord) -> None:
    """Write down that a container ended with its supervisor, and release what is left."""
    if record.sandbox_id == record.id:
        release.sandbox(root, record.sandbox_id)
    records.save_container(root, reach.lost(record))


def _sweep_sandbox(root: StateRoot, sandbox_id: str) -> list[str]:
    """A sandbox without a living supervisor whose container has not been created or is gone."""
    try:
        supervisor = records.load_sandbox(root, sandbox_id).supervisor
    except NotFound:
        if sandbox_id in root.container_ids() and not records.is_abandoned(root, sandbox_id):
            return []  # being created
        supervisor = None
    if supervisor is not None and supervisor.alive():
        return []
    release.sandbox(root, sandbox_id)
    return [f"released the sandbox {sandbox_id}"]
