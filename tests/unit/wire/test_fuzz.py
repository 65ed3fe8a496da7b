"""A short, always equal campaign of the fuzz targets; `python -m tests.fuzz SECONDS` goes on."""

from __future__ import annotations

import pytest

from tests.fuzz.campaign import rounds
from tests.fuzz.targets import TARGETS

ROUNDS = 300


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_no_finding(target: str) -> None:
    assert rounds(TARGETS[target], 60, seed=1, limit=ROUNDS) == ROUNDS
