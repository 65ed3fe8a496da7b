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


def test_a_full_file_is_replaced_by_another(tmp_path: Path) -> None:
    files = [(tmp_path / str(number)).open("w") for number in range(2)]
    log.configure(level=log.Level.INFO, fd=files[0].fileno(), entry=lambda _, text: text)
    log.limit(100, lambda: os.dup2(files[1].fileno(), files[0].fileno()))
    for _ in range(4):
        log.info("x" * 40)
    for file in files:
        file.close()
    assert [(tmp_path / name).stat().st_size for name in "01"] == [120, 40]


def test_a_file_that_cannot_be_replaced_is_no_reason_to_fail(tmp_path: Path) -> None:
    def refuse() -> None:
        raise OSError(28, "No space left on device")

    with (tmp_path / "log").open("w") as file:
        log.configure(level=log.Level.INFO, fd=file.fileno(), entry=lambda _, text: text)
        log.limit(1, refuse)
        log.info("x")
