"""Many containers in a row and at once: all succeed, and nothing of them is left."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.cli import Programs

AT_ONCE = 8


def say(programs: Programs, number: int) -> None:
    """One container, which says its number and ends with it."""
    script = f"echo {number}; exit {number}"
    answer = programs.enclos("run", "--rm", "enclos/demo", "sh", "-c", script)
    assert (answer.code, answer.out) == (number, f"{number}\n"), answer.err


@pytest.mark.parametrize("count", [5, pytest.param(20, marks=pytest.mark.nightly)])
def test_in_a_row(programs: Programs, count: int) -> None:
    for number in range(count):
        say(programs, number)


def test_at_once(programs: Programs) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda number: say(programs, number), range(AT_ONCE)))
