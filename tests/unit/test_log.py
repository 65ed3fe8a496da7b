"""Log lines: whose form they have, and that they never reach a file that took over a number."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from enclos import log
from enclos.ocicli import report


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    log.configure(level=log.Level.WARNING)


def test_lines_in_the_form_of_others(tmp_path: Path) -> None:
    entry = partial(report.entry_of, log_format="json")
    with (tmp_path / "log").open("w") as file:
        log.configure(level=log.Level.INFO, fd=file.fileno(), entry=entry)
        log.info("not as written", note='a "b"')
        log.debug("nobody asked")
    found = json.loads((tmp_path / "log").read_text())
    assert (found["level"], found["msg"]) == ("info", 'not as written note=a "b"')


def test_a_child_that_closes_everything_writes_to_stderr(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with (tmp_path / "log").open("w") as file:
        log.configure(level=log.Level.ERROR, fd=file.fileno(), entry=lambda _, text: text)
        number = file.fileno()
    other = os.open(tmp_path / "other", os.O_WRONLY | os.O_CREAT, 0o600)
    os.dup2(other, number)
    log.divert()
    log.warning("degraded", why="test")
    os.close(other)
    if number != other:
        os.close(number)
    assert (tmp_path / "other").read_text() == ""
    assert "warning" in (line := capfd.readouterr().err)
    assert line.endswith("degraded why=test\n")


def test_what_a_guest_says_is_one_line_of_bounded_length(
    capfd: pytest.CaptureFixture[str],
) -> None:
    log.warning(
        "refused", error="x\n2026-01-01T00:00:00Z error [1] forged\x1b[2J" + "y" * 1_000_000
    )
    written = capfd.readouterr().err
    assert written.count("\n") == 1
    assert written[:-1].isprintable()
    assert "refused error=x 2026-01-01" in written
    assert len(written) < 2_200
