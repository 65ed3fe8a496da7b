"""Recorded output as lines: torn chunks, the last lines, a span of time."""

from __future__ import annotations

from pathlib import Path

import pytest

from enclos.cli import logview
from enclos.cli.logview import Wanted


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log"
    chunks = [(10, "stdout", b"one\ntw"), (20, "stderr", b"err\r1\n"), (30, "stdout", b"o\nthree")]
    path.write_bytes(b"".join(b"%d %s %d\n" % (at, name.encode(), len(data)) + data
                              for at, name, data in chunks))  # fmt: skip
    return path


def texts(path: Path, wanted: Wanted) -> list[tuple[str, bytes, bool]]:
    found = logview.lines(path, wanted, until_end_of=None)
    return [(line.stream, line.data, line.begins) for line in found]


def test_lines_are_cut_at_newlines_only(log: Path) -> None:
    assert texts(log, Wanted()) == [
        ("stdout", b"one\n", True),
        ("stdout", b"tw", True),
        ("stderr", b"err\r1\n", True),
        ("stdout", b"o\n", False),
        ("stdout", b"three", True),
    ]


def test_the_last_lines_are_whole(log: Path) -> None:
    assert texts(log, Wanted(tail=1)) == [("stdout", b"three", True)]
    assert [data for _, data, _ in texts(log, Wanted(tail=2))] == [b"err\r1\n", b"o\n", b"three"]
    assert texts(log, Wanted(tail=0)) == []
    assert len(texts(log, Wanted(tail=99))) == 5


def test_a_span_of_time(log: Path) -> None:
    assert [data for _, data, _ in texts(log, Wanted(since_ns=20, until_ns=25))] == [b"err\r1\n"]


def test_a_chunk_that_is_being_written_is_left(log: Path) -> None:
    with log.open("ab") as file:
        file.write(b"40 stdout 100\npart")
    assert len(texts(log, Wanted())) == 5
