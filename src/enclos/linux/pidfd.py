"""Process descriptors (Linux 5.3): signals and waits that cannot hit a reused pid."""

from __future__ import annotations

import errno
import os
import select
import signal
from collections.abc import Iterable
from typing import Final

from enclos.linux.pid import ProcessRef

_BRIEF_S: Final = 1.0


def open_verified(process: ProcessRef) -> int | None:
    """A pidfd of exactly this process, which the caller closes; None if it does not run."""
    if process.pid <= 0:
        return None
    try:
        descriptor = os.pidfd_open(process.pid)
    except OSError as error:
        if error.errno in {errno.ESRCH, errno.EINVAL}:
            return None  # EINVAL: the number is a thread's by now
        raise
    if process.alive():  # looked at after opening, so the descriptor is of this very process
        return descriptor
    os.close(descriptor)
    return None


def send_signal(process: ProcessRef, number: int) -> bool:
    """Send signal `number` (0 only asks); False if the process does not run any more.

    Raises `PermissionError` for a process of somebody else.
    """
    descriptor = open_verified(process)
    if descriptor is None:
        return False
    try:
        signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)
    return True


def wait_end(process: ProcessRef, *, timeout_s: float) -> bool:
    """Wait until the process, which need not be a child, has ended; False at the time limit."""
    descriptor = open_verified(process)
    if descriptor is None:
        return True
    try:
        return wait_readable(descriptor, timeout_s=timeout_s)
    finally:
        os.close(descriptor)


def wait_readable(descriptor: int, *, timeout_s: float) -> bool:
    """Wait until a pidfd says that its process has ended; False at the time limit."""
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return bool(poller.poll(timeout_s * 1000))


def kill_all(processes: Iterable[ProcessRef], *, timeout_s: float = 5) -> list[ProcessRef]:
    """Kill every one of `processes` and wait; answers those that are still there."""
    targets = list(processes)
    for process in targets:
        send_signal(process, signal.SIGKILL)
    return [process for process in targets if not _has_ended(process, timeout_s)]


def _has_ended(process: ProcessRef, timeout_s: float) -> bool:
    """A pid namespace's first process may have run its last and yet stay: until those have been
    reaped who joined the namespace and whose parents are outside (pid_namespaces(7))."""
    if wait_end(process, timeout_s=min(_BRIEF_S, timeout_s)) or process.exiting():
        return True
    return wait_end(process, timeout_s=timeout_s)
