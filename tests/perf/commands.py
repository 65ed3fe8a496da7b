"""Runs commands and measures their wall time; what goes wrong makes a row unavailable.

Output goes to files, not pipes: a container that is left running keeps its `create`'s streams,
and a pipe would have no end.
"""

from __future__ import annotations

import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final

from tests.perf.series import Missing, Row, Unavailable

TIMEOUT_S: Final = 120


def run(argv: Sequence[str], *, cwd: Path | None = None) -> str:
    """The stdout of `argv`; raises `Unavailable` with its words if it fails."""
    return _timed(argv, cwd)[0]


def wall_ms(argv: Sequence[str], *, cwd: Path | None = None) -> float:
    """Milliseconds from the fork of `argv` to its end; raises `Unavailable` if it fails."""
    return _timed(argv, cwd)[1]


def _timed(argv: Sequence[str], cwd: Path | None) -> tuple[str, float]:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.perf_counter()
        try:
            child = subprocess.Popen(
                argv, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=err
            )
        except FileNotFoundError as error:
            raise Unavailable(f"no {argv[0]} here") from error
        code = _wait(child)
        wall = (time.perf_counter() - start) * 1000
        if code != 0:
            said = _text(err).strip() or "nothing said"
            name = Path(argv[0]).name
            raise Unavailable(f"{name} ended with {code}: {said[-300:]}")
        return _text(out), wall


def _wait(child: subprocess.Popen[bytes]) -> int:
    """Its exit code; killed after TIMEOUT_S. Popen's own time limit polls, up to 50 ms late."""
    watchdog = threading.Timer(TIMEOUT_S, child.kill)
    watchdog.start()
    try:
        return child.wait()
    finally:
        watchdog.cancel()


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


def row(name: str, argv: Sequence[str], *, cwd: Path | None = None) -> Row | Missing:
    """A row that is the wall time of one command, tried once before it is offered."""
    try:
        run(argv, cwd=cwd)
    except Unavailable as error:
        return Missing(name, str(error))
    return Row(name, "ms", lambda: wall_ms(argv, cwd=cwd))
