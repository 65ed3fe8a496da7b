"""A guest's clock is put right however late the guest hears of it."""

from __future__ import annotations

import asyncio
import time
from typing import cast

import pytest

from enclos.sandbox import clock
from enclos.wire import messages as m
from enclos.wire.link import Link

MS = 1_000_000


class LateGuest:
    """A guest whose clock is `wrong_ns` ahead; `now` is the host's, which goes on meanwhile."""

    def __init__(self, wrong_ns: int, ways_ns: list[tuple[int, int]]) -> None:
        self.wrong_ns = wrong_ns
        self.now = 1_700_000_000_000_000_000
        self.asked = 0
        self._ways = ways_ns

    async def call(
        self, method: str, step: m.Step, _: type[m.Clock], *, timeout_s: float
    ) -> m.Clock:
        assert (method, timeout_s) == ("clock", 5)
        there, back = self._ways[min(self.asked, len(self._ways) - 1)]
        self.asked += 1
        self.now += there
        self.wrong_ns += step.offset_ns
        told = m.Clock(self.now + self.wrong_ns)
        self.now += back
        return told


def put_right(guest: LateGuest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: guest.now)
    asyncio.run(clock.put_right(cast(Link, guest), timeout_s=5))


@pytest.mark.parametrize("wrong_ns", [0, 63 * MS, -63 * MS, -86_400_000 * MS])
def test_an_idle_host_needs_two_questions(wrong_ns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    guest = LateGuest(wrong_ns, [(MS, MS)])
    put_right(guest, monkeypatch)
    assert abs(guest.wrong_ns) <= MS
    assert guest.asked == (2 if wrong_ns else 1)


def test_a_hurried_host_asks_again_until_it_can_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    guest = LateGuest(-500 * MS, [(90 * MS, 2 * MS), (60 * MS, MS), (3 * MS, 4 * MS)])
    put_right(guest, monkeypatch)
    assert abs(guest.wrong_ns) <= clock.GOOD_NS


def test_it_gives_up_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    guest = LateGuest(0, [(200 * MS, 200 * MS)])
    put_right(guest, monkeypatch)
    assert guest.asked < 10
