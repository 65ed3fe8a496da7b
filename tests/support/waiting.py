"""Waiting for what comes about by itself, with a limit that suits a slow machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

LIMIT_S: Final = 90
_POLL_S: Final = 0.1


def until(
    condition: Callable[[], bool],
    explain: Callable[[], str] = lambda: "it did not come about",
    *,
    timeout_s: float = LIMIT_S,
) -> None:
    """Return once `condition` holds; an `AssertionError` with an explanation if it never does."""
    limit = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < limit, explain()
        time.sleep(_POLL_S)
