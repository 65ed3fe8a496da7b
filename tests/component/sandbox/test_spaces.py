"""The namespaces of a stand-in that may be gone already."""

from __future__ import annotations

import os
from contextlib import ExitStack

import pytest

from enclos.errors import MachineFailed
from enclos.plan.guestspec import GuestPlan
from enclos.sandbox import spaces


@pytest.mark.parametrize("collected", [False, True])
def test_a_stand_in_that_was_killed_while_hooks_ran(*, collected: bool) -> None:
    """As by a hook itself: what is missing is told in words, with what to look for."""
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | (0 if collected else os.WNOWAIT))
    guest: GuestPlan = object.__new__(GuestPlan)
    try:
        with ExitStack() as opened, pytest.raises(MachineFailed, match="has ended") as told:
            spaces.network_of(guest, child, opened)
    finally:
        if not collected:
            os.waitpid(child, 0)
    assert str(child) in told.value.message
    assert "hook" in told.value.hint
