"""`delete` where a task may have left something, as after a crash: it ends the machine and removes
records, mounts and the socket.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from enclos import log
from enclos.errors import EnclosError, NotFound
from enclos.sandbox import delete, reach, release
from enclos.sandbox.reach import KILLED_STATUS
from enclos.shim import address, bundles, rootfs, where
from enclos.shim.parse import Invocation
from enclos.shim.proto import task_pb2
from enclos.state import records
from enclos.state.records import ContainerRecord
from enclos.state.store import StateRoot


def run(call: Invocation) -> int:
    """Print a serialized DeleteResponse."""
    root, name = where.root(call), call.texts["id"]
    answer = task_pb2.DeleteResponse(exit_status=KILLED_STATUS)
    answer.exited_at.FromNanoseconds(time.time_ns())
    try:
        record, _ = reach.container(root, name)
        answer.pid = record.pid
        answer.exit_status = KILLED_STATUS if record.exit_status is None else record.exit_status
    except EnclosError as error:
        log.debug("no record", container=name, error=error)
    if not _overtaken():
        _clean_up(root, name, call.texts["bundle"])
    sys.stdout.buffer.write(answer.SerializeToString())
    return 0


def _overtaken() -> bool:
    """Whether the task has been deleted meanwhile: what has its name now is another's.

    containerd calls this in the bundle's directory, also while it removes that itself after a
    Delete; a task that is created then with the same name makes a new directory.
    """
    return os.stat(".").st_nlink == 0


def _clean_up(root: StateRoot, name: str, bundle: str) -> None:
    _remove(root, name)
    for member in _members(root, name):
        _remove(root, member.id)
        rootfs.unmount(Path(member.bundle))
    if bundle:
        _clear(Path(bundle))


def _members(root: StateRoot, name: str) -> list[ContainerRecord]:
    """Containers of a pod that is gone, which containerd has neither started nor will delete by
    their own names."""
    try:
        every = records.all_containers(root)
    except EnclosError as error:
        log.warning("a pod's containers may be left", container=name, error=error)
        return []
    found = [one for one in every if one.sandbox_id == name != one.id]
    return [one for one in found if bundles.sandbox_of(Path(one.bundle)) == name]


def _remove(root: StateRoot, name: str) -> None:
    try:
        delete.delete(root, name, force=True)
    except NotFound:
        release.sandbox(root, name)  # one whose container was never made, or nothing


def _clear(bundle: Path) -> None:
    rootfs.unmount(bundle)
    path = address.published(bundle)
    if path is not None:
        address.withdraw(path)
