"""The agent's event loop: descriptors by epoll, and timers. All of it in one thread.

Callbacks must not block. What a callback needs to wait for is a `Promise` (tasks.py) that
another callback keeps.
"""

from __future__ import annotations

import heapq
import itertools
import select
import time
from collections.abc import Callable
from typing import Final

from enclos.guest.tasks import Promise

READ: Final = select.EPOLLIN
WRITE: Final = select.EPOLLOUT
PRIORITY: Final = select.EPOLLPRI
HANGUP: Final = select.EPOLLERR | select.EPOLLHUP
"""Reported whether asked for or not."""


class Loop:
    """Calls back when descriptors are ready and when timers are due."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[int], None]] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def watch(self, descriptor: int, events: int, callback: Callable[[int], None]) -> None:
        """Call `callback(events)` while any of `events`, or an error, is there (level)."""
        if descriptor in self._callbacks:
            self._epoll.modify(descriptor, events)
        else:
            self._epoll.register(descriptor, events)
        self._callbacks[descriptor] = callback

    def forget(self, descriptor: int) -> None:
        """Stop watching; must come before the descriptor is closed. Not watched is fine."""
        if self._callbacks.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def later(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call `callback` once, after `seconds`."""
        due = time.monotonic() + seconds
        heapq.heappush(self._timers, (due, next(self._order), callback))

    def sleep(self, seconds: float) -> Promise[None]:
        """A promise kept after `seconds`, for tasks."""
        promise: Promise[None] = Promise()
        self.later(seconds, lambda: promise.keep(None))
        return promise

    def run(self) -> None:
        """Serve for ever."""
        while True:
            self.step()

    def step(self) -> None:
        """One round: wait, then call what is ready and what is due."""
        for descriptor, events in self._epoll.poll(self._timeout()):
            callback = self._callbacks.get(descriptor)  # an earlier one may have dropped it
            if callback is not None:
                callback(events)
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2]()

    def _timeout(self) -> float | None:
        if not self._timers:
            return None
        return max(0.0, self._timers[0][0] - time.monotonic())
