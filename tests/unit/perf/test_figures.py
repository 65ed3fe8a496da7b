"""The figures of the performance table."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.perf import figures

VALUES = st.lists(st.floats(min_value=0.001, max_value=1e6), min_size=1, max_size=50)


def test_the_figures_of_a_known_series() -> None:
    found = figures.figures([5.0, 1.0, 3.0, 2.0, 4.0])
    assert (found.count, found.minimum, found.median, found.maximum) == (5, 1.0, 3.0, 5.0)
    assert found.p90 == pytest.approx(4.6)


def test_an_even_series_has_its_median_between() -> None:
    assert figures.median([1.0, 2.0, 3.0, 4.0]) == 2.5


@given(VALUES)
def test_figures_are_in_order(values: list[float]) -> None:
    found = figures.figures(values)
    assert found.minimum <= found.median <= found.p90 <= found.maximum


def test_the_ratio_of_equal_series_is_one() -> None:
    values = [1.0, 1.1, 0.9, 1.0, 1.05]
    found = figures.ratio(values, values, random.Random(1))
    assert found.value == 1.0
    assert found.low <= 1.0 <= found.high


@given(VALUES, VALUES)
def test_the_interval_is_an_interval(above: list[float], below: list[float]) -> None:
    found = figures.ratio(above, below, random.Random(1))
    assert found.low <= found.high
    assert min(above) / max(below) <= found.low
    assert found.high <= max(above) / min(below)


def test_a_wide_series_has_a_wide_interval() -> None:
    narrow = figures.ratio([10.0] * 9 + [11.0], [1.0] * 10, random.Random(1))
    wide = figures.ratio([float(n) for n in range(1, 20)], [1.0] * 10, random.Random(1))
    assert wide.high - wide.low > narrow.high - narrow.low
