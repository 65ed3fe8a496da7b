"""Collects every process that ends below PID 1, and tells those who wait for one of them.

A process may end before anybody knows its pid (crun writes it to a file first), so statuses of
strangers are kept as long as a birth is under way.
"""

from __future__ import annotations

import os
import signal
from typing import Final

from enclos.guest.loop import READ, Loop
from enclos.guest.tasks import Promise

_DRAIN_BYTES: Final = 4096


class Reaper:
    """The one caller of waitpid."""

    def __init__(self, loop: Loop) -> None:
        self._waiting: dict[int, Promise[int]] = {}
        self._strangers: dict[int, int] = {}
        self._births = 0
        self._wake, wakes = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, _nothing)
        signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
        loop.watch(self._wake, READ, self._woken)

    def birth(self) -> None:
        """From now on remember who ends, until `born` has been called as often."""
        self._births += 1

    def born(self) -> None:
        """One birth is over: the pid was passed to `ended`, or there is none."""
        self._births -= 1
        if not self._births:
            self._strangers.clear()

    def ended(self, pid: int) -> Promise[int]:
        """Kept with the status of `pid` as a shell counts it, once it has ended."""
        promise = self._waiting.setdefault(pid, Promise())
        if pid in self._strangers:
            del self._waiting[pid]
            promise.keep(self._strangers.pop(pid))
        return promise

    def collect(self) -> None:
        """Reap all that have ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            code = os.waitstatus_to_exitcode(status)
            self._tell(pid, code if code >= 0 else 128 - code)

    def _tell(self, pid: int, status: int) -> None:
        promise = self._waiting.pop(pid, None)
        if promise is not None:
            promise.keep(status)
        elif self._births:
            self._strangers[pid] = status

    def _woken(self, _: int) -> None:
        os.read(self._wake, _DRAIN_BYTES)
        self.collect()


def _nothing(*_: object) -> None:
    return None
