"""Figures of a series: median, spread, and the ratio of two medians with its interval. PURE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

RESAMPLES: Final = 2000
CONFIDENCE: Final = 0.95


class Choice(Protocol):
    """The one method of `random.Random` that resampling needs."""

    def choices(self, population: Sequence[float], *, k: int) -> list[float]:
        """`k` values of `population`, with replacement."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What is reported of one series."""

    count: int
    minimum: float
    median: float
    p90: float
    maximum: float


@dataclass(frozen=True, slots=True)
class Ratio:
    """The ratio of two medians and its bootstrap interval."""

    value: float
    low: float
    high: float


def figures(values: Sequence[float]) -> Figures:
    """The figures of a series that is not empty."""
    return Figures(len(values), min(values), median(values), percentile(values, 0.9), max(values))


def median(values: Sequence[float]) -> float:
    """The value in the middle."""
    return percentile(values, 0.5)


def percentile(values: Sequence[float], fraction: float) -> float:
    """The value below which `fraction` of the series lies, interpolated."""
    ordered = sorted(values)
    place = fraction * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def ratio(above: Sequence[float], below: Sequence[float], choice: Choice) -> Ratio:
    """Median of `above` by median of `below`; the interval is that of `CONFIDENCE`."""
    drawn = sorted(
        median(choice.choices(above, k=len(above))) / median(choice.choices(below, k=len(below)))
        for _ in range(RESAMPLES)
    )
    edge = (1 - CONFIDENCE) / 2
    return Ratio(
        median(above) / median(below), percentile(drawn, edge), percentile(drawn, 1 - edge)
    )
