"""Groups of the resctrl file system: shares of the processors' caches and memory bandwidth.

Intel's RDT, AMD's QoS. A group is a directory; its `schemata` say what it gets, its `tasks` who
belongs to it, by thread; what a thread forks belongs to its group. Linux 4.10.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from enclos.errors import InvalidRequest

ROOT: Final = Path("/sys/fs/resctrl")
_GONE: Final = {errno.ENOENT, errno.ESRCH}


def is_mounted() -> bool:
    """Whether the file system is there."""
    return (ROOT / "schemata").exists()


def exists(name: str) -> bool:
    """Whether there is such a group."""
    return (ROOT / name / "schemata").exists()


def make(name: str) -> None:
    """Make a group; existing already is done. Raises `InvalidRequest` if the processor has no
    more classes to give."""
    try:
        (ROOT / name).mkdir(mode=0o755, exist_ok=True)
    except OSError as error:
        raise InvalidRequest(
            f"cannot make the resctrl group {name}: {error}",
            hint="processors have few classes: remove groups, or share one by closID",
        ) from error


def write(name: str, lines: Sequence[str]) -> None:
    """Say what the group gets; raises `InvalidRequest` with what the kernel says about it."""
    for line in lines:
        try:
            (ROOT / name / "schemata").write_text(f"{line}\n")
        except OSError as error:
            raise InvalidRequest(
                f"the host's kernel refuses the schema {line[:200]!r}: {error}",
                hint=f"see {ROOT}/info/last_cmd_status",
            ) from error


def says(name: str, lines: Sequence[str]) -> bool:
    """Whether the group has exactly these, however they are spelled."""
    text = (ROOT / name / "schemata").read_text()
    there = {_plain(line) for line in text.splitlines()}
    return all(_plain(line) in there for line in lines)


def _plain(line: str) -> str:
    """`  L3:0=0ff;1=f` is `L3:0=ff;1=f`."""
    kind, _, rest = line.strip().partition(":")
    parts = (part.strip().partition("=") for part in rest.split(";"))
    masks = sorted(f"{domain.strip()}={mask.strip().lstrip('0')}" for domain, _, mask in parts)
    return f"{kind}:{';'.join(masks)}"


def add(name: str, pids: Iterable[int]) -> None:
    """Put every thread of these processes into the group; raises `OSError`.

    Again until no new one turns up: a thread that has been moved begets threads of the group.
    """
    for pid in pids:
        moved: set[str] = set()
        while new := set(_threads(pid)) - moved:
            for thread in new:
                _write_task(ROOT / name / "tasks", thread)
            moved |= new


def _threads(pid: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/task")
    except FileNotFoundError:
        return []  # the process has ended


def _write_task(file: Path, thread: str) -> None:
    try:
        file.write_text(thread)
    except OSError as error:
        if error.errno not in _GONE or not file.exists():
            raise


def remove(name: str) -> None:
    """Remove a group; its threads fall back to the whole. Gone already is done."""
    try:
        (ROOT / name).rmdir()
    except FileNotFoundError:
        return
