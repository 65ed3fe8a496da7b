from __future__ import annotations

import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclos.errors import InvalidRequest
from enclos.oci import signals


@pytest.mark.parametrize("one", signal.Signals)
def test_numbers_are_linuxs(one: signal.Signals) -> None:
    assert signals.parse(one.name) == one
    assert signals.parse(str(int(one))) == one


def test_real_time_limits_are_linuxs() -> None:
    assert (signals.RTMIN, signals.RTMAX) == (signal.SIGRTMIN, signal.SIGRTMAX)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("term", 15), ("SIGTERM", 15), ("sigKill", 9), ("0", 0), ("9", 9), ("64", 64),
        ("RTMIN", 34), ("rtmin+3", 37), ("SIGRTMAX", 64), ("SIGRTMAX-14", 50), ("RTMIN+30", 64),
        ("CLD", 17), ("poll", 29),
    ],
)  # fmt: skip
def test_spellings(text: str, number: int) -> None:
    assert signals.parse(text) == number


@pytest.mark.parametrize(
    "text",
    ["", "SIG", "65", "-9", "+1", "1.0", "FOO", "SIGSIGTERM", "RTMIN-1", "RTMAX+1", "RTMIN+31",
     "RTMIN3", "RTMIN+", "RTMIN+٣", "٩", "9999999999"],
)  # fmt: skip
def test_nonsense_is_named(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        signals.parse(text)
    assert repr(text) in caught.value.message


@given(st.integers(1, 31) | st.integers(34, 64))
def test_names_are_read_back(number: int) -> None:
    assert signals.parse(signals.name_of(number)) == number


@given(st.text(max_size=12))
def test_parsing_is_total(text: str) -> None:
    try:
        assert 0 <= signals.parse(text) <= signals.RTMAX
    except InvalidRequest:
        return
