"""The cgroup of a container in the guest: who is in it, its files, its freezer."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import Final

_MAX_FILE_BYTES: Final = 1 << 20
_GONE: Final = frozenset({errno.ENOENT, errno.ENODEV, errno.EOPNOTSUPP})
"""A cgroup that went away meanwhile, or a file that this cgroup does not offer."""


def read(cgroup: str, name: str) -> str | None:
    """A file of the cgroup, or None if there is none (any more)."""
    try:
        with open(f"{cgroup}/{name}", encoding="utf-8", errors="replace") as file:
            return file.read(_MAX_FILE_BYTES)
    except OSError as error:
        if error.errno in _GONE:
            return None
        raise


def write(cgroup: str, name: str, value: str) -> None:
    """Write a file of the cgroup."""
    with open(f"{cgroup}/{name}", "w", encoding="ascii") as file:
        file.write(value)


def counter(cgroup: str, name: str, key: str) -> int:
    """The number behind `key` in a file of `key value` lines; 0 if it is not there."""
    for line in (read(cgroup, name) or "").splitlines():
        word, _, value = line.partition(" ")
        if word == key:
            return int(value)
    return 0


def pids(cgroup: str) -> Iterator[int]:
    """Every process in the cgroup and below it."""
    for directory, _, _ in os.walk(cgroup):
        yield from (int(word) for word in (read(directory, "cgroup.procs") or "").split())
