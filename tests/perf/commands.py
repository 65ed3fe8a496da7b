"""Runs commands and measures their wall time; what goes wrong makes a row unavailable."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.perf.series import Missing, Row, Unavailable

TIMEOUT_S: Final = 120


def run(argv: Sequence[str], *, cwd: Path | None = None) -> str:
    """The stdout of `argv`; raises `Unavailable` with its words if it fails."""
    try:
        done = subprocess.run(
            argv, cwd=cwd, capture_output=True, stdin=subprocess.DEVNULL, timeout=TIMEOUT_S
        )
    except FileNotFoundError as error:
        raise Unavailable(f"no {argv[0]} here") from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{argv[0]} took over {TIMEOUT_S} s") from error
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip() or "nothing said"
        raise Unavailable(f"{Path(argv[0]).name} ended with {done.returncode}: {said[-300:]}")
    return done.stdout.decode("utf-8", "replace")


def wall_ms(argv: Sequence[str], *, cwd: Path | None = None) -> float:
    """Milliseconds from the fork of `argv` to its end; raises `Unavailable` if it fails."""
    start = time.perf_counter()
    run(argv, cwd=cwd)
    return (time.perf_counter() - start) * 1000


def row(name: str, argv: Sequence[str], *, cwd: Path | None = None) -> Row | Missing:
    """A row that is the wall time of one command, tried once before it is offered."""
    try:
        run(argv, cwd=cwd)
    except Unavailable as error:
        return Missing(name, str(error))
    return Row(name, "ms", lambda: wall_ms(argv, cwd=cwd))
