"""A container's recorded output on a disk that is full, for a while."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from enclos import log
from enclos.sandbox import outputlog


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Files take so many bytes and no more, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


@pytest.fixture
def told() -> Iterator[int]:
    """The reading end of what is logged."""
    reading, writing = os.pipe2(os.O_NONBLOCK)
    log.configure(level=log.Level.WARNING, fd=writing)
    yield reading
    log.configure(level=log.Level.WARNING)
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("more", [0, 10, 100])
def test_what_a_full_disk_does_not_take_is_lost_and_the_rest_stays_readable(
    tmp_path: Path, told: int, more: int
) -> None:
    path = tmp_path / "log"
    recorder = outputlog.open_log(path)
    write = recorder.writer("stdout")
    write(b"before")
    with room_for(path.stat().st_size + more):
        write(b"x" * 1000)
        write(b"y" * 1000)
    write(b"after")
    recorder.close()
    with path.open("rb") as source:
        assert [chunk.data for chunk in outputlog.read(source)] == [b"before", b"after"]
    assert os.read(told, 65_536).count(b"output is not recorded") == 1
