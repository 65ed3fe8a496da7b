"""A supervisor's log has a limit, whoever fills it."""

from __future__ import annotations

import os
from pathlib import Path

from enclos import log
from enclos.sandbox import daemon
from tests.support.children import inside

MOST_BYTES = 20_000


def test_the_last_lines_are_kept_and_no_more_than_twice_the_limit(tmp_path: Path) -> None:
    place = tmp_path / "supervisor.log"

    def body() -> None:
        daemon.write_log(place, most_bytes=MOST_BYTES)
        for number in range(1000):
            log.error("the guest said", number=number, text="x" * 100)
            os.write(1, b"a child of ours\n")

    inside(body, [])
    kept, now = (tmp_path / "supervisor.log.1").read_text(), place.read_text()
    assert len(os.listdir(tmp_path)) == 2
    assert MOST_BYTES <= len(kept) < MOST_BYTES + 2000
    assert len(now) < MOST_BYTES + 2000
    numbers = [int(line.split("number=")[1].split()[0]) for line in (kept + now).splitlines()
               if "number=" in line]  # fmt: skip
    assert numbers == list(range(numbers[0], 1000))


def test_a_log_whose_directory_has_gone_breaks_nothing(tmp_path: Path) -> None:
    place = tmp_path / "sandbox"
    place.mkdir()

    def body() -> None:
        daemon.write_log(place / "supervisor.log", most_bytes=100)
        (place / "supervisor.log").unlink()
        place.rmdir()
        for number in range(100):
            log.error("nobody reads it", number=number)

    inside(body, [])
