"""Stays with a container or an exec process until it has ended: signals, lanes, window size.

One poll loop on the supervisor's connection, the signals' pipe and the lanes. The first of
SIGINT, SIGTERM, SIGHUP and SIGQUIT is forwarded to the program, the second kills it.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from enclos.cli.lanes import Lane
from enclos.errors import EnclosError, Lost
from enclos.sandbox.client import Connection
from enclos.structs import dataclass
from enclos.wire import control as c
from enclos.wire import messages as m

_ENDING: Final = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT})
_FORWARDED: Final = (*_ENDING, signal.SIGUSR1, signal.SIGUSR2)
_LEAVE_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Followed:
    """What is followed. `size` answers rows and columns where there is a terminal."""

    connection: Connection
    id: str
    exec_id: str = ""
    proxy: bool = True
    size: Callable[[], tuple[int, int]] | None = None


class Interrupted(EnclosError):
    """A signal came that is not to be forwarded; `number` says which."""

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}")
        self.number: Final = number


@contextmanager
def stoppable() -> Iterator[None]:
    """Let SIGINT, SIGTERM and SIGHUP unwind what is being done, once, and then end us.

    Further ones are ignored meanwhile: unwinding has limits of its own.
    """

    def stop(number: int, _frame: object) -> None:
        for other in before:
            signal.signal(other, signal.SIG_IGN)
        raise SystemExit(128 + number)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def signals() -> Iterator[int]:
    """A descriptor that yields the numbers of signals as bytes; handlers as before at the end."""
    read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    numbers = (*_FORWARDED, signal.SIGWINCH)
    handlers = {number: signal.signal(number, _nothing) for number in numbers}
    try:
        yield read
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(before)
        os.close(read)
        os.close(write)


def _nothing(_number: int, _frame: object) -> None:
    return None


def follow(
    followed: Followed, lanes: Sequence[Lane], *, detached: Callable[[], bool]
) -> c.Ended | None:
    """How it ended, or None if the user detached.

    Raises `Lost` if the supervisor went without a word, and `Interrupted` where signals are
    not to be forwarded.
    """
    with signals() as wakeup:
        number = followed.connection.post("wait", c.Named(followed.id, followed.exec_id))
        watch = _Watch(followed, wakeup, number)
        while watch.ended is None and not detached():
            watch.step(lanes, timeout_s=None)
        for lane in lanes:
            lane.drain()
        if watch.ended is not None and watch.ended.leaving:
            watch.wait_leave()
    return watch.ended


class _Watch:
    """The poll loop and what it has seen."""

    def __init__(self, followed: Followed, wakeup: int, number: int) -> None:
        self._followed, self._wakeup, self._number = followed, wakeup, number
        self._warned = False
        self.ended: c.Ended | None = None

    def step(self, lanes: Sequence[Lane], *, timeout_s: float | None) -> None:
        """Wait for something and deal with it."""
        connection = self._followed.connection
        poller = select.poll()
        poller.register(self._wakeup, select.POLLIN)
        poller.register(connection.fileno(), select.POLLIN)
        moving = {lane.interest()[0]: lane for lane in lanes if lane.open}
        for descriptor, lane in moving.items():
            poller.register(descriptor, lane.interest()[1])
        ready = [found for found, _ in poller.poll(None if timeout_s is None else timeout_s * 1000)]
        for descriptor in ready:
            if descriptor in moving:
                moving[descriptor].move()
        if self._wakeup in ready:
            for value in os.read(self._wakeup, 64):
                self._signal(value)
        if connection.fileno() in ready:
            connection.receive(timeout_s=None)
        if self.ended is None and connection.answered(self._number):
            self.ended = connection.wait_reply(self._number, c.Ended, timeout_s=None)

    def wait_leave(self) -> None:
        """Until the supervisor has gone: then nothing of the sandbox is there any more."""
        deadline = time.monotonic() + _LEAVE_S
        try:
            while (left := deadline - time.monotonic()) > 0:
                self.step((), timeout_s=left)
        except Lost:
            return

    def _signal(self, number: int) -> None:
        followed = self._followed
        if number == signal.SIGWINCH:
            if followed.size is not None:
                rows, columns = followed.size()
                request = m.Resize(followed.id, rows, columns, followed.exec_id)
                followed.connection.post("resize", request)
            return
        if not followed.proxy:
            raise Interrupted(number)
        if number in _ENDING and self._warned:
            number = signal.SIGKILL
        self._warned = self._warned or number in _ENDING
        request_kill = m.Signal(followed.id, number, followed.exec_id)
        followed.connection.post("signal", request_kill)
