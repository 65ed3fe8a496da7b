"""Every moment of an engine's run belongs to one step."""

from __future__ import annotations

import pytest

from tests.perf import enginephases
from tests.perf.enginephases import Call
from tests.perf.series import Unavailable

CREATE, START = Call("create", 10.1, 10.5), Call("start", 10.6, 10.7)
STATE, DELETE = Call("state", 10.8, 10.81), Call("delete", 11.0, 11.2)


def test_the_steps_are_the_whole() -> None:
    found = dict(enginephases.steps(10.0, [CREATE, START, STATE, DELETE], 11.25))
    assert [round(ms) for ms in found.values()] == [100, 400, 100, 100, 300, 200, 50]
    assert sum(found.values()) == pytest.approx(1250)


def test_a_delete_after_podmans_end_takes_none_of_its_time() -> None:
    late = Call("delete", 11.0, 11.4)
    found = dict(enginephases.steps(10.0, [CREATE, START, late], 11.25))
    assert sum(found.values()) == pytest.approx(1250)
    later = Call("delete", 12.0, 12.4)
    found = dict(enginephases.steps(10.0, [CREATE, START, later], 11.25))
    assert sum(found.values()) == pytest.approx(1250)
    assert found["the runtime's delete"] == 0


def test_a_run_without_a_call_says_so() -> None:
    with pytest.raises(Unavailable, match="start"):
        dict(enginephases.steps(10.0, [CREATE], 11.25))
