"""Has the kernel report an out-of-memory kill in a control group where none has taken place.

Engines learn from the kernel's own events (`memory.events`, or an eventfd on
`memory.oom_control`) that a container ran out of memory. What a guest's kernel kills they cannot
see; so a child of ours enters the group, its limit is drawn tight, and the child asks for more
than there is. Nothing of worth should live in the group: the child is the one the kernel
prefers, by its score, but the limit is everybody's meanwhile.
"""

from __future__ import annotations

import mmap
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn

from enclos.linux import pidfd
from enclos.linux.cgroup.group import Group

_ROOM_BYTES: Final = 2 << 20
"""Left when the child begins, so that the others' next page is no reason to kill."""
_GREED_BYTES: Final = 64 << 20
_LOCKED: Final = 0x2000
"""MAP_LOCKED: what is locked cannot be swapped out instead."""
_V1: Final = ("memory.usage_in_bytes", "memory.limit_in_bytes", "memory.force_empty")
_V2: Final = ("memory.current", "memory.max", "memory.reclaim")


def starve(group: Group, *, timeout_s: float = 5) -> bool:
    """Whether the kernel has killed a child of ours in `group`; its limits are as before.

    Raises `OSError` where the group is gone or the kernel refuses.
    """
    directory = group.directory("memory")
    if directory is None:
        return False
    files = _V1 if (directory / _V1[0]).exists() else _V2
    usage, limit, reclaim = (directory / name for name in files)
    ours, theirs = os.pipe()
    try:
        child = os.fork()
        if child == 0:
            _sacrifice(directory / "cgroup.procs", gate=ours, held=theirs, usage=usage)
        with _tight(usage, limit, reclaim):
            os.write(theirs, b"x")
            return _was_killed(child, timeout_s)
    finally:
        os.close(ours)
        os.close(theirs)


@contextmanager
def _tight(usage: Path, limit: Path, reclaim: Path) -> Iterator[None]:
    """The limit a little above what is in use, once what can be given back has been."""
    before = limit.read_text().strip()
    _give_back(reclaim, usage)
    limit.write_text(str(_bytes(usage) + _ROOM_BYTES))
    try:
        yield
    finally:
        limit.write_text(before)


def _give_back(reclaim: Path, usage: Path) -> None:
    """As much as the kernel manages: with more left the child only has more to ask for."""
    try:
        reclaim.write_text("0" if reclaim.name == _V1[2] else str(_bytes(usage)))
    except OSError:
        return  # EAGAIN: not all of it; or a kernel before 5.19


def _bytes(file: Path) -> int:
    return int(file.read_text())


def _sacrifice(procs: Path, *, gate: int, held: int, usage: Path) -> NoReturn:
    """The child: enter, wait for the limit, take until killed."""
    try:
        os.close(held)
        procs.write_text("0")
        Path("/proc/self/oom_score_adj").write_text("1000")
        os.read(gate, 1)
        size = _bytes(usage) + _GREED_BYTES
        taken = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _LOCKED)
        for at in range(0, size, mmap.PAGESIZE):
            taken[at] = 1
    finally:
        os._exit(1)


def _was_killed(child: int, timeout_s: float) -> bool:
    descriptor = os.pidfd_open(child)
    try:
        ended = pidfd.wait_readable(descriptor, timeout_s=timeout_s)
        if not ended:
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    finally:
        os.close(descriptor)
    return ended and os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
