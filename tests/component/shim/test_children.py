"""A shim collects whatever is orphaned below it, and leaves to others what is theirs."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Final

import pytest

from enclos.linux import errand, fork, pid
from enclos.shim import children, worker
from tests.support.apart import apart

LIMIT_S: Final = 20


def _shim(mounts: int) -> Any:
    """What `children` looks at of a shim."""
    return SimpleNamespace(mounts=mounts, adopted=set[int]())


def _daemon(seconds: float, then: Callable[[], object] = lambda: None) -> str:
    """As a hook does that leaves something running: its pid."""

    def body() -> int:
        fork.close_fds_except({0, 1, 2})
        then()
        time.sleep(seconds)
        return 0

    return str(fork.fork_detached(body).pid)


def _slowly() -> str:
    time.sleep(1)
    return "slow"


def _child() -> None:
    """One more process, below the daemon and longer there."""
    if os.fork() == 0:
        time.sleep(4)
        os._exit(0)


async def _gone(number: int) -> None:
    limit = time.monotonic() + LIMIT_S
    while os.path.exists(f"/proc/{number}"):
        assert time.monotonic() < limit, f"{number} is left"
        await asyncio.sleep(0.02)


def _in_a_shim(work: Callable[[Any], Any]) -> None:
    def body() -> None:
        fork.become_subreaper()
        mounts = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        asyncio.run(work(_shim(mounts)))

    apart(body)


def test_a_daemon_is_collected_when_it_ends() -> None:
    async def work(shim: Any) -> None:
        number = int(await children.run(shim, lambda: _daemon(2)))
        assert pid.parent(number) == os.getpid()
        assert shim.adopted == {number}
        await _gone(number)
        assert not shim.adopted

    _in_a_shim(work)


def test_what_a_daemon_leaves_is_collected_too() -> None:
    async def work(shim: Any) -> None:
        number = int(await children.run(shim, lambda: _daemon(2, _child)))
        assert pid.children() == {number}
        await _gone(number)
        (below,) = shim.adopted
        await _gone(below)
        assert not pid.children()

    _in_a_shim(work)


def test_a_child_whose_call_was_cancelled_is_collected() -> None:
    async def work(shim: Any) -> None:
        slow = asyncio.create_task(children.run(shim, _slowly))
        await asyncio.sleep(0)
        (child,) = worker.running
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        assert not worker.running
        assert shim.adopted == {child}
        await _gone(child)
        assert not shim.adopted

    _in_a_shim(work)


def test_an_errand_is_left_to_who_has_sent_it() -> None:
    async def work(shim: Any) -> None:
        with errand.sent("a nap", lambda: time.sleep(LIMIT_S)):
            children.adopt(shim)
            assert not shim.adopted

    _in_a_shim(work)


def test_a_child_of_a_call_is_left_to_the_call() -> None:
    async def work(shim: Any) -> None:
        slow = asyncio.create_task(children.run(shim, _slowly))
        await asyncio.sleep(0)
        assert await children.run(shim, lambda: "quick") == "quick"
        assert not shim.adopted
        assert await slow == "slow"

    _in_a_shim(work)
