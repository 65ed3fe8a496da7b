"""Runs crun, which makes and enters containers, and says what it complained about.

crun's messages go to a log file, never to the standard streams, which belong to the container.
As text: what it says after the container has its own root goes to the container's stderr all
the same, where JSON would look odd.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from typing import Final

from enclos.guest.reaper import Reaper
from enclos.structs import dataclass

PROGRAM: Final = "/usr/bin/crun"
STATE: Final = "/run/crun"
_ENVIRONMENT: Final = {"PATH": "/usr/sbin:/usr/bin", "LC_ALL": "C"}
_LOG: Final = "/run/enclos/crun.log"
_LOG_BYTES: Final = 64 << 10
_SIGNALS: Final = sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})
"""Python ignores some, and what is ignored would stay so in the container."""
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
            "--log", log, "--log-format", "text", *arguments]  # fmt: skip
    moves = [(os.POSIX_SPAWN_DUP2, source, target) for target, source in enumerate(stdio)]
    pid = os.posix_spawn(
        PROGRAM, argv, _ENVIRONMENT, file_actions=moves, setsigmask=(), setsigdef=_SIGNALS
    )
    status = await reaper.ended(pid)
    return Outcome(status, complaint(log))


def complaint(log: str) -> str:
    """The last line of a log file, which is removed; crun stops at its first error."""
    try:
        with open(log, "rb") as file:
            text = file.read(_LOG_BYTES).decode("utf-8", "replace")
        os.unlink(log)
    except FileNotFoundError:
        return ""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
