"""`start`: the shim of a group of containers, found or made; its address is the answer.

Runs in the bundle. Of a pod the first container's shim is everybody's: containerd calls `start`
for each, and gets the same address. So what makes a shim is imported only where there is none.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

from enclos import log
from enclos.shim import address, bundles, where
from enclos.shim.parse import Invocation

_LOG: Final = "log"


def run(call: Invocation) -> int:
    """See the module."""
    bundle = Path.cwd()
    logs = _open_log(bundle)
    log.configure(level=log.Level.WARNING, fd=logs)  # standard error is a part of the answer
    path = _serving(call, bundle)
    if path is None:
        from enclos.shim import begin

        path = begin.run(call, bundle, logs=logs)
    sys.stdout.write(address.publish(bundle, path))
    return 0


def _serving(call: Invocation, bundle: Path) -> Path | None:
    """The socket of the shim that serves the container's group already."""
    if bundles.is_of_pod(bundle):
        return None
    path = where.socket_path(call, where.group(bundles.annotations_of(bundle), call.texts["id"]))
    return path if address.answers(path) else None


def _open_log(bundle: Path) -> int:
    """containerd's end of our log; for reading as well, so that it may go and come back."""
    try:
        return os.open(bundle / _LOG, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return -1  # not every client has one
