"""Signals by number and name."""

from __future__ import annotations

import signal

import pytest

from enclos.errors import InvalidRequest
from enclos.linux import signals


@pytest.mark.parametrize("member", [m for m in signal.Signals if m < 32], ids=lambda m: m.name)
def test_names_are_the_kernels(member: signal.Signals) -> None:
    assert signals.parse(member.name) == member
    assert signals.parse(signals.name(member)) == member


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("15", 15), ("term", 15), ("SigKill", 9), ("IOT", 6), ("RTMIN", 34),
     ("SIGRTMIN+3", 37), ("rtmax-1", 63), ("RTMAX", 64), ("64", 64)],
)  # fmt: skip
def test_other_spellings(text: str, number: int) -> None:
    assert signals.parse(text) == number


@pytest.mark.parametrize(
    "text", ["", "SIG", "65", "-1", "RTMIN-1", "RTMAX+1", "RTMIN+99", "NOPE", "9x", "1" * 30, "٣"]
)
def test_no_signals(text: str) -> None:
    with pytest.raises(InvalidRequest):
        signals.parse(text)


def test_real_time_signals_have_numbers_for_names() -> None:
    assert signals.name(40) == "40"
