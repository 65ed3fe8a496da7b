"""Taking the measurements: interleaved, with reasons instead of failures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import pytest

from tests.perf import report, series
from tests.perf.series import Group, Missing, Row, Series, Unavailable


def _silent(_line: str) -> None:
    return None


def _group(rows: Sequence[Row | Missing], rounds: int = 3) -> Group:
    @contextmanager
    def opened() -> Iterator[Sequence[Row | Missing]]:
        yield rows

    return Group("group", rounds, opened)


def _noting(name: str, order: list[str]) -> Callable[[], float]:
    def measure() -> float:
        order.append(name)
        return 1.0

    return measure


@pytest.fixture(autouse=True)
def _quiet_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = series._Ticks(busy=0, steal=0, total=0)
    monkeypatch.setattr(series, "_ticks", lambda: ticks)


def test_rows_take_turns() -> None:
    order: list[str] = []
    rows = [Row(name, "ms", _noting(name, order)) for name in "ab"]
    taken = series.take(_group(rows), rounds=None, say=_silent)
    assert order == ["a", "b"] * 3
    assert [one.values for one in taken] == [[1.0] * 3] * 2


def test_the_rounds_can_be_chosen() -> None:
    rows = [Row("a", "ms", lambda: 2.0)]
    (taken,) = series.take(_group(rows), rounds=7, say=_silent)
    assert taken.values == [2.0] * 7


def test_a_failing_row_keeps_its_reason_and_the_others_go_on() -> None:
    def fail() -> float:
        raise Unavailable("no such thing")

    rows = [Row("bad", "ms", fail), Row("good", "ms", lambda: 1.0)]
    bad, good = series.take(_group(rows), rounds=None, say=_silent)
    assert (bad.values, bad.reason) == ([], "no such thing")
    assert good.values == [1.0] * 3


def test_a_missing_row_stays_in_its_place() -> None:
    rows: list[Row | Missing] = [Missing("absent", "not here"), Row("a", "ms", lambda: 1.0)]
    taken = series.take(_group(rows), rounds=None, say=_silent)
    assert [(one.name, one.reason) for one in taken] == [("absent", "not here"), ("a", "")]


def test_a_disturbed_round_is_taken_again(monkeypatch: pytest.MonkeyPatch) -> None:
    disturbed = [
        series._Ticks(busy=0, steal=0, total=0),
        series._Ticks(busy=10, steal=50, total=100),
    ]
    calm = series._Ticks(busy=0, steal=0, total=0)
    monkeypatch.setattr(series, "_ticks", lambda: disturbed.pop(0) if disturbed else calm)
    (taken,) = series.take(_group([Row("a", "ms", lambda: 1.0)]), rounds=None, say=_silent)
    assert (len(taken.values), taken.discarded) == (3, 1)


def test_a_group_that_cannot_open_says_why() -> None:
    def opened() -> AbstractContextManager[Sequence[Row | Missing]]:
        raise Unavailable("no assets")

    (taken,) = series.take(Group("group", 1, opened), rounds=None, say=_silent)
    assert taken.reason == "no assets"


def test_promises_are_held_against_the_figures() -> None:
    promise = report.PROMISES[0]
    fast = Series(promise.row, "ms", values=[1.0, 1.0])
    slow = Series(promise.beside, "ms", values=[10.0, 10.0])
    (kept, *others) = report.verdicts({fast.name: fast, slow.name: slow})
    assert kept.kept
    assert not any(one.kept for one in others), "what was not measured is not kept"
    (missed, *_) = report.verdicts(
        {fast.name: Series(fast.name, "ms", values=[9.0]), slow.name: slow}
    )
    assert not missed.kept


def test_the_table_names_every_row_and_reason() -> None:
    rows = [Series("a", "ms", values=[1.0], cpu_ms=[2.0]), Series("b", "", reason="not here")]
    text = report.table(rows, report.verdicts({}))
    assert "not here" in text
    assert "not measured" in text
