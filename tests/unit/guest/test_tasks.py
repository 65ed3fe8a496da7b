"""Promises and tasks: sequences that wait without a loop of their own."""

from __future__ import annotations

import pytest

from enclos.errors import NotFound
from enclos.guest.tasks import Promise, after, start


def test_a_task_goes_on_when_its_promise_is_kept() -> None:
    promise: Promise[int] = Promise()

    async def twice() -> int:
        return 2 * await promise

    outcome = start(twice())
    assert not outcome.done
    promise.keep(21)
    assert outcome.result() == 42


def test_a_broken_promise_raises_in_the_task() -> None:
    promise: Promise[int] = Promise()

    async def patient() -> str:
        try:
            await promise
        except NotFound as error:
            return error.message
        return "kept"

    outcome = start(patient())
    promise.fail(NotFound("gone"))
    assert outcome.result() == "gone"


def test_what_a_task_raises_is_its_outcome() -> None:
    async def failing() -> None:
        raise NotFound("nothing here")

    with pytest.raises(NotFound, match="nothing here"):
        start(failing()).result()


def test_a_kept_promise_does_not_suspend() -> None:
    promise: Promise[str] = Promise()
    promise.keep("at once")

    async def waits() -> str:
        return await promise + ", " + await promise

    assert start(waits()).result() == "at once, at once"


def test_only_the_first_word_counts() -> None:
    promise: Promise[int] = Promise()
    promise.keep(1)
    promise.keep(2)
    promise.fail(NotFound("late"))
    assert promise.result() == 1


def test_after_waits_for_all() -> None:
    promises: list[Promise[None]] = [Promise(), Promise(), Promise()]
    calls: list[str] = []
    promises[1].keep(None)
    after(promises, lambda: calls.append("done"))
    promises[2].keep(None)
    assert not calls
    promises[0].fail(NotFound("settled is settled"))
    assert calls == ["done"]


def test_after_nothing_is_now() -> None:
    calls: list[str] = []
    after([], lambda: calls.append("done"))
    assert calls == ["done"]
