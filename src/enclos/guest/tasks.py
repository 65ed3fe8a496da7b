"""Coroutines without asyncio: a handler is written as one sequence and still never blocks.

A `Promise` is a value that comes later; `await promise` suspends until it is kept or broken.
`start` runs a coroutine up to its first unkept promise, and goes on from there when it is.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Iterable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Promise(Generic[T]):
    """A value that comes later, once; awaitable."""

    __slots__ = ("_error", "_then", "_value", "done")

    def __init__(self) -> None:
        self.done = False
        self._value: T | None = None
        self._error: Exception | None = None
        self._then: list[Callable[[], None]] = []

    def keep(self, value: T) -> None:
        """The value is here; a second call is ignored."""
        self._settle(value, None)

    def fail(self, error: Exception) -> None:
        """It will not come; awaiting raises `error`."""
        self._settle(None, error)

    def then(self, callback: Callable[[], None]) -> None:
        """Call `callback` when settled, now if it is."""
        if self.done:
            callback()
        else:
            self._then.append(callback)

    def result(self) -> T:
        """The value of a settled promise, or its error raised."""
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]

    def __await__(self) -> Generator[Promise[T], None, T]:
        if not self.done:
            yield self
        return self.result()

    def _settle(self, value: T | None, error: Exception | None) -> None:
        if self.done:
            return
        self.done, self._value, self._error = True, value, error
        callbacks, self._then = self._then, []
        for callback in callbacks:
            callback()


def after(promises: Iterable[Promise[Any]], callback: Callable[[], None]) -> None:
    """Call `callback` once all `promises` are settled, now if they are."""
    waiting = [promise for promise in promises if not promise.done]
    left = len(waiting)

    def settled() -> None:
        nonlocal left
        left -= 1
        if not left:
            callback()

    for promise in waiting:
        promise.then(settled)
    if not waiting:
        callback()


def start(task: Coroutine[Any, Any, T]) -> Promise[T]:
    """Run `task` as far as it goes; the promise of its result."""
    outcome: Promise[T] = Promise()

    def step() -> None:
        try:
            waiting: Promise[Any] = task.send(None)
        except StopIteration as end:
            outcome.keep(end.value)
        except Exception as error:  # noqa: BLE001 - the edge of a task: whoever awaits raises it
            outcome.fail(error)
        else:
            waiting.then(step)

    step()
    return outcome
