"""Rows about streams: bytes a second from a program in the guest to the caller's pipe."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from tests.perf.series import Group, Missing, Row, Unavailable
from tests.perf.subject import IMAGE, Subject

STDOUT: Final = "stdout, 256 MiB"
_BYTES: Final = 256 << 20
_READ_BYTES: Final = 1 << 20


def groups(subject: Subject) -> list[Group]:
    """One group of one row."""
    return [Group("streams", 10, lambda: _rows(subject))]


@contextmanager
def _rows(subject: Subject) -> Iterator[Sequence[Row | Missing]]:
    count = _BYTES >> 16
    dd = ["dd", "if=/dev/zero", "bs=65536", f"count={count}"]
    argv = [subject.enclos, "run", "--rm", IMAGE, *dd]
    yield [Row(STDOUT, "MB/s", lambda: _rate(argv))]


def _rate(argv: Sequence[str]) -> float:
    """Megabytes a second between the first byte and the end of file."""
    with subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        pipe = process.stdout.fileno()
        total = len(os.read(pipe, _READ_BYTES))
        start = time.perf_counter()
        first = total
        while data := os.read(pipe, _READ_BYTES):
            total += len(data)
        seconds = time.perf_counter() - start
    if process.returncode != 0 or total != _BYTES:
        raise Unavailable(f"{total} of {_BYTES} bytes came, status {process.returncode}")
    return (total - first) / seconds / 1e6
