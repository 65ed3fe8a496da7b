"""What a helper writes goes into the supervisor's log, whose limit holds for it as well."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from enclos.sandbox import daemon, helperlog
from enclos.sandbox.helperlog import Output
from tests.support.children import inside

MOST_BYTES = 20_000


def _logged(tmp_path: Path, script: str, after: Callable[[Output], None] = lambda _: None) -> str:
    """What is in the log when a shell as the helper has ended."""
    place = tmp_path / "supervisor.log"

    async def heard(output: Output) -> None:
        output.follow()
        while not output.ended:
            await asyncio.sleep(0.01)

    def body() -> None:
        daemon.write_log(place, most_bytes=MOST_BYTES)
        with helperlog.heard("virtiofsd") as output:
            child = subprocess.Popen(["sh", "-c", script], stdout=output.writer)
            output.given()
            asyncio.run(heard(output))
            assert child.wait() == 0
            after(output)

    inside(body, [])
    return "".join(file.read_text() for file in sorted(tmp_path.iterdir(), reverse=True))


def test_lines_are_written_down_and_the_last_is_known(tmp_path: Path) -> None:
    def after(output: Output) -> None:
        assert output.last == "no end of line"

    said = _logged(tmp_path, "echo one; echo; printf 'a\\033b\\nno end of line'", after)
    assert [line.split("virtiofsd: ")[1] for line in said.splitlines()] == [
        "one", "a b", "no end of line",
    ]  # fmt: skip


def test_a_helper_that_does_not_stop_fills_nothing(tmp_path: Path) -> None:
    said = _logged(tmp_path, "i=0; while [ $i -lt 4000 ]; do i=$((i+1)); echo line $i; done")
    assert len(said) < 2 * MOST_BYTES + 4000
    assert said.endswith("virtiofsd: line 4000\n")


def test_a_line_without_end_is_cut(tmp_path: Path) -> None:
    said = _logged(tmp_path, "head -c 300000 /dev/zero | tr '\\0' x")
    assert "xxx" in said
    assert max(map(len, said.splitlines())) < 2200


def test_what_was_not_read_before_the_end_is_written_down(tmp_path: Path) -> None:
    place = tmp_path / "supervisor.log"

    def body() -> None:
        daemon.write_log(place)
        with helperlog.heard("passt") as output:
            os.write(output.writer, b"its last words\n")

    inside(body, [])
    assert place.read_text().endswith("passt: its last words\n")
