"""Puts a guest's clock right, as a time server would: ask, halve the round trip, correct.

A clone's clock stood still while its template lay on disk. One message with the time would be
late by the time it took to arrive, and that is tens of milliseconds on a busy host.
"""

from __future__ import annotations

import time
from typing import Final

from enclos import log
from enclos.wire import messages as m
from enclos.wire.link import Link

GOOD_NS: Final = 10_000_000
"""A clock is right if it is at most so much off, however the round trip was shared out."""
_TRIES: Final = 8


async def put_right(link: Link, *, timeout_s: float) -> None:
    """Correct the clock until it is right, or as right as this host's hurry allows."""
    offset = 0
    for _ in range(_TRIES):
        before = time.time_ns()
        clock = await link.call("clock", m.Step(offset), m.Clock, timeout_s=timeout_s)
        after = time.time_ns()
        offset = (before + after) // 2 - clock.time_ns
        if abs(offset) + (after - before) // 2 <= GOOD_NS:
            return
    log.warning("the guest's clock may be wrong", offset_ms=offset // 1_000_000)
