"""Rounds of a target for some time; a finding says how to see it again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable


class Finding(AssertionError):
    """A round that failed; its cause is the exception."""


def rounds(
    target: Callable[[random.Random], None], seconds: float, *, seed: int, limit: int = 10**9
) -> int:
    """How many rounds went well within `seconds`; raises `Finding` at the first that did not."""
    end = time.monotonic() + seconds
    count = 0
    while count < limit and time.monotonic() < end:
        try:
            target(random.Random(seed + count))
        except Exception as error:
            raise Finding(f"{target.__name__}: seed {seed + count}: {error!r}") from error
        count += 1
    return count
