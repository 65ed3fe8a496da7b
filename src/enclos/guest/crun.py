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
    reaper: Reaper, arguments: Sequence[str], *, stdio: tuple[int, int, int] = (0, 1, 2),
    oom_score_adj: int = 0,
) -> Outcome:  # fmt: skip
    """Run crun with `stdio` as its descriptors 0-2, which a container's init inherits, and with
    this score, which crun's exec hands on and does not set."""
    _last[0] += 1
    log = f"{_LOG}.{_last[0]}"
    argv = [PROGRAM, "--root", STATE, "--cgroup-manager", "cgroupfs",
            "--log", log, "--log-format", "text", *arguments]  # fmt: skip
    moves = [(os.POSIX_SPAWN_DUP2, source, target) for target, source in enumerate(stdio)]
    if oom_score_adj:
        _write_score(oom_score_adj)
    try:
        pid = os.posix_spawn(
            PROGRAM, argv, _ENVIRONMENT, file_actions=moves, setsigmask=(), setsigdef=_SIGNALS
        )
    finally:
        if oom_score_adj:
            _write_score(0)
    status = await reaper.ended(pid)
    return Outcome(status, complaint(log))


async def undo(reaper: Reaper, container_id: str) -> None:
    """Remove a container that could not be finished, if crun has made it."""
    if os.path.exists(f"{STATE}/{container_id}"):
        await run(reaper, ["delete", "--force", container_id])


def _write_score(oom_score_adj: int) -> None:
    """The agent's own, which is 0 but while it makes a process that is to inherit another."""
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write(str(oom_score_adj))


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
