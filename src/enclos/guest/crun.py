"""Runs crun, which makes and enters containers, and says what it complained about.

crun's messages go to a log file as JSON lines, never to the standard streams, which belong
to the container.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from enclos.guest.reaper import Reaper

PROGRAM: Final = "/usr/bin/crun"
STATE: Final = "/run/crun"
_ENVIRONMENT: Final = {"PATH": "/usr/sbin:/usr/bin", "LC_ALL": "C"}
_LOG: Final = "/run/enclos/crun.log"
_LOG_BYTES: Final = 64 << 10
_last: list[int] = [0]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended; `complaint` is the last error crun logged."""

    status: int
    complaint: str


async def run(
    reaper: Reaper, arguments: Sequence[str], *, stdio: tuple[int, int, int] = (0, 1, 2)
) -> Outcome:
    """Run crun with `stdio` as its descriptors 0-2, which a container's init inherits."""
    _last[0] += 1
    log = f"{_LOG}.{_last[0]}"
    argv = [PROGRAM, "--root", STATE, "--cgroup-manager", "cgroupfs",
            "--log", log, "--log-format", "json", *arguments]  # fmt: skip
    moves = [(os.POSIX_SPAWN_DUP2, source, target) for target, source in enumerate(stdio)]
    pid = os.posix_spawn(PROGRAM, argv, _ENVIRONMENT, file_actions=moves, setsigmask=())
    status = await reaper.ended(pid)
    return Outcome(status, _complaint(log))


def _complaint(log: str) -> str:
    """The last error of a log file, which is removed."""
    try:
        with open(log, "rb") as file:
            text = file.read(_LOG_BYTES).decode("utf-8", "replace")
        os.unlink(log)
    except FileNotFoundError:
        return ""
    lines = [_entry(line) for line in text.splitlines()]
    errors = [message for level, message in lines if level in {"error", ""}]
    return errors[-1] if errors else ""


def _entry(line: str) -> tuple[str, str]:
    try:
        entry = json.loads(line)
        return str(entry["level"]), str(entry["msg"])
    except (ValueError, KeyError, TypeError):
        return "", line
