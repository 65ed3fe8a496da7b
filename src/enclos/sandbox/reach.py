"""From a container's id to its record, its true status and its supervisor."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Final

from enclos.errors import NotFound, WrongState
from enclos.oci import load
from enclos.oci.types import Spec
from enclos.sandbox import client
from enclos.state import records, store
from enclos.state.records import ContainerRecord, SandboxRecord
from enclos.state.store import StateRoot

KILLED_STATUS: Final = 137
"""How a container ended that was destroyed: 128 + SIGKILL, never success."""
_SPEC: Final = "config.json"
_POLL_S: Final = 0.05


def sandbox_of(root: StateRoot, record: ContainerRecord) -> SandboxRecord | None:
    """The record of the container's sandbox, None once it has ended."""
    try:
        return records.load_sandbox(root, record.sandbox_id)
    except NotFound:
        return None


def status_of(root: StateRoot, record: ContainerRecord) -> str:
    """The status that is true now."""
    sandbox = sandbox_of(root, record)
    return records.current_status(record, sandbox.supervisor if sandbox else None)


def container(root: StateRoot, container_id: str) -> tuple[ContainerRecord, str]:
    """The record and the true status; raises `NotFound`.

    A container whose supervisor died without a word has the record of one that was killed.
    """
    record = records.load_container(root, container_id)
    status = status_of(root, record)
    if status == "stopped" and record.status != "stopped":
        record = lost(record)
    return record, status


def lost(record: ContainerRecord) -> ContainerRecord:
    """What became of a container whose supervisor was killed: it died with it."""
    return replace(
        record,
        status="stopped",
        exit_status=KILLED_STATUS,
        exit_reason="the supervisor was killed",
        finished_at=record.finished_at or records.now(),
    )


def living(root: StateRoot, container_id: str) -> tuple[ContainerRecord, client.Connection]:
    """The record of a container that is not stopped and a connection to its supervisor.

    Raises `NotFound`, and `WrongState` with runc's words for a stopped one.
    """
    record, status = container(root, container_id)
    if status == "stopped":
        raise WrongState(f"container {container_id}: container not running")
    try:
        return record, client.connect(root.sandbox(record.sandbox_id))
    except NotFound as error:
        raise WrongState(f"container {container_id}: container not running") from error


def wait_resumed(root: StateRoot, container_id: str) -> None:
    """Wait until a paused container is paused no more, however long; raises `NotFound`."""
    while container(root, container_id)[1] == "paused":
        time.sleep(_POLL_S)


def keep_spec(root: StateRoot, container_id: str, text: str) -> None:
    """Remember the spec a container was created from: hooks of later verbs come from it."""
    store.write_file(_spec_path(root, container_id), text.encode("utf-8", "surrogateescape"))


def kept_spec(root: StateRoot, container_id: str) -> Spec:
    """The spec a container was created from; raises `NotFound`."""
    try:
        return load.load_spec(store.read_file(_spec_path(root, container_id)))
    except FileNotFoundError as error:
        raise NotFound(f"container {container_id}: container does not exist") from error


def _spec_path(root: StateRoot, container_id: str) -> Path:
    return root.container(container_id) / _SPEC
