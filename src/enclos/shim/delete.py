"""`delete`: clean up after a task from what is written down, whether its shim lives or not.

containerd calls it after every end, so mostly there is nothing to do; after a crash it is what
removes the machine, the mounts and the socket.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from enclos import log
from enclos.errors import EnclosError, NotFound
from enclos.sandbox import delete, reach, release
from enclos.sandbox.reach import KILLED_STATUS
from enclos.shim import address, rootfs, where
from enclos.shim.parse import Invocation
from enclos.shim.proto import task_pb2
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
    _remove(root, name)
    if call.texts["bundle"]:
        _clear(Path(call.texts["bundle"]))
    sys.stdout.buffer.write(answer.SerializeToString())
    return 0


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
