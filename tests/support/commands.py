"""A command run to its end, and how that was."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

TIMEOUT_S: Final = 240


@dataclass(frozen=True)
class Answer:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str
    raw: bytes = field(repr=False, default=b"")


def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    cwd: Path | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Answer:
    """Run `command` to its end, without stdin if none is given; whoever calls looks at its code."""
    done = subprocess.run(
        command,
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        env=environment,
        timeout=timeout_s,
        check=False,
        cwd=cwd,
    )
    out, err = (text.decode(errors="replace") for text in (done.stdout, done.stderr))
    return Answer(done.returncode, out, err, done.stdout)
