"""Sizes and times as docker writes them, and as people do."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclos.cli import names, wording
from enclos.errors import InvalidRequest
from enclos.ids import check_name

NOW = 1_700_000_000_000_000_000


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0B"), (999, "999B"), (1000, "1kB"), (12345, "12.35kB"), (7.8e6, "7.8MB"), (3e15, "3PB")],
)
def test_decimal_sizes(count: float, text: str) -> None:
    assert wording.decimal_size(count) == text


def test_binary_sizes() -> None:
    assert wording.binary_size(1536) == "1.5KiB"
    assert wording.binary_size(1 << 30) == "1GiB"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "Less than a second"), (1, "1 second"), (59, "59 seconds"), (60, "About a minute"),
        (150, "2 minutes"), (3600, "About an hour"), (7200, "2 hours"), (47 * 3600, "47 hours"),
        (3 * 86400, "3 days"), (21 * 86400, "3 weeks"), (90 * 86400, "3 months"),
        (800 * 86400, "2 years"),
    ],
)  # fmt: skip
def test_spans(seconds: float, text: str) -> None:
    assert wording.span(seconds) == text


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1700000000", NOW),
        ("1700000000.5", NOW + 500_000_000),
        ("2023-11-14T22:13:20Z", NOW),
        ("2023-11-14T22:13:20.000000001Z", NOW + 1),
        ("2023-11-14 22:13:20", NOW),
        ("2023-11-15T00:13:20+02:00", NOW),
        ("2023-11-14T17:13:20-0500", NOW),
        ("10m", NOW - 600 * 10**9),
        ("1h30m", NOW - 5400 * 10**9),
        ("90", NOW - 90 * 10**9),
    ],
)
def test_moments(text: str, moment: int) -> None:
    assert wording.moment_ns(text, now_ns=NOW) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "2023-13-01", "10x", "1h 2m", "-5m"])
def test_no_moments(text: str) -> None:
    with pytest.raises(InvalidRequest):
        wording.moment_ns(text, now_ns=NOW)


@given(st.text(max_size=30))
def test_any_text_is_a_moment_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidRequest):
        wording.moment_ns(text, now_ns=NOW)


def test_whole_numbers() -> None:
    assert wording.whole_number("7", "--tail") == 7
    for text in ("", "x", "1.5", "-1", "٣"):
        with pytest.raises(InvalidRequest):
            wording.whole_number(text, "--tail")


def test_record_stamps() -> None:
    stamp = "2023-11-14T22:13:20.123456789Z"
    assert wording.stamp_ns(stamp) == NOW + 123456789
    assert wording.shown_stamp(stamp) == "2023-11-14 22:13:20 +0000 UTC"
    assert wording.since(stamp, NOW + 3 * 10**9) == "2 seconds"


def test_suggested_names_are_names() -> None:
    for _ in range(100):
        check_name(names.suggest())
