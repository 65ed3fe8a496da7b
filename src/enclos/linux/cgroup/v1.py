"""Control groups, version 1: one directory per mounted hierarchy. Callers use `group`."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

from enclos.linux.cgroup.layout import Hierarchy

_CPUSET_FILES: Final = ("cpuset.cpus", "cpuset.mems")


def create(hierarchy: Hierarchy, path: str) -> Path:
    """Make the group `path` with its parents; existing already is done. Raises `OSError`.

    A new cpuset group has no CPUs and takes no process, so it gets its parent's.
    """
    here = hierarchy.mount
    for name in path.split("/"):
        parent, here = here, here / name
        here.mkdir(mode=0o755, exist_ok=True)
        if "cpuset" in hierarchy.controllers:
            _inherit_cpuset(parent, here)
    return here


def _inherit_cpuset(parent: Path, child: Path) -> None:
    for file in _CPUSET_FILES:
        if (child / file).read_bytes().strip():
            continue
        (child / file).write_bytes((parent / file).read_bytes().strip())


def memory_limit(directory: Path) -> int | None:
    """Bytes that the memory controller allows in `directory`; None for no limit."""
    value = _number(directory / "memory.limit_in_bytes")
    unlimited = value is None or value >= 1 << 62
    return None if unlimited else value


def pids_limit(directory: Path) -> int | None:
    """Processes that the pids controller allows; None for no limit."""
    return _number(directory / "pids.max")


def cpu_limit(directory: Path) -> float | None:
    """CPUs that the cpu controller allows; None for no limit."""
    quota, period = (
        _number(directory / "cpu.cfs_quota_us"),
        _number(directory / "cpu.cfs_period_us"),
    )
    return quota / period if quota and period and quota > 0 else None


def freeze(directory: Path, *, frozen: bool) -> None:
    """Stop or resume every process of a freezer group; the kernel gets there in its own time."""
    (directory / "freezer.state").write_text("FROZEN" if frozen else "THAWED")


def _number(file: Path) -> int | None:
    try:
        text = os.fsdecode(file.read_bytes()).strip()
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENODEV, errno.EOPNOTSUPP}:
            return None  # the kernel was built without this file
        raise
    return int(text) if text.lstrip("-").isdecimal() else None
