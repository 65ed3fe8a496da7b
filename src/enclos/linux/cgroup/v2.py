"""Control groups, version 2: one tree, controllers switched on level by level.

Callers use `group`.
"""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Final

_REFUSALS: Final = {errno.EBUSY, errno.ENOENT, errno.EINVAL, errno.EACCES, errno.EPERM,
                    errno.EOPNOTSUPP}  # fmt: skip


def create(mount: Path, path: str) -> Path:
    """Make the group `path` with its parents, all controllers on; raises `OSError`.

    A controller that a parent cannot hand down (it has processes, or not the controller) is
    left out: limits that need it then fail by name.
    """
    here = mount
    for name in path.split("/"):
        enable(here)
        here = here / name
        here.mkdir(mode=0o755, exist_ok=True)
    return here


def enable(directory: Path) -> None:
    """Hand every controller of `directory` down to its children, as far as the kernel lets us."""
    available = set((directory / "cgroup.controllers").read_text().split())
    control = directory / "cgroup.subtree_control"
    for controller in sorted(available - set(control.read_text().split())):
        try:
            control.write_text(f"+{controller}")
        except OSError as error:
            if error.errno not in _REFUSALS:
                raise


def memory_limit(directory: Path) -> int | None:
    """Bytes that `memory.max` allows; None for no limit."""
    return _number(directory / "memory.max")


def pids_limit(directory: Path) -> int | None:
    """Processes that `pids.max` allows; None for no limit."""
    return _number(directory / "pids.max")


def cpu_limit(directory: Path) -> float | None:
    """CPUs that `cpu.max` allows; None for no limit."""
    words = _read(directory / "cpu.max").split()
    if len(words) != 2 or words[0] == "max":
        return None
    return int(words[0]) / int(words[1])


def freeze(directory: Path, *, frozen: bool) -> None:
    """Stop or resume every process of the group and below (Linux 5.2)."""
    (directory / "cgroup.freeze").write_text("1" if frozen else "0")


def kill(directory: Path) -> bool:
    """Kill every process of the group and below at once; False before Linux 5.14."""
    try:
        with (directory / "cgroup.kill").open("wb", buffering=0) as file:
            file.write(b"1")
    except FileNotFoundError:
        return False
    return True


def _number(file: Path) -> int | None:
    text = _read(file).strip()
    return int(text) if text.isdecimal() else None


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENODEV, errno.EOPNOTSUPP}:
            return ""  # the controller is not on here
        raise
