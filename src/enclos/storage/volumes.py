"""Volumes: directories below the data root that outlive containers, and binds' sources.

volumes/NAME/_data        the content, where docker has it as well
volumes/NAME/anonymous    there if the volume goes with its container
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from enclos.errors import InvalidRequest
from enclos.linux import files
from enclos.linux.inroot import resolve_in_root
from enclos.plan.runmounts import MountRequest, Source
from enclos.storage import nodes
from enclos.storage.disk import disk_errors
from enclos.storage.extract import Rules, extract
from enclos.storage.walk import TreeWalker

_FILL_S: Final = 600.0
_MARK: Final = "anonymous"
_DATA: Final = "_data"


def check_sources(requests: Iterable[MountRequest]) -> None:
    """Raises `InvalidRequest` for a bind whose source does not exist."""
    for request in requests:
        if request.kind is Source.BIND and not os.path.lexists(request.source):
            raise InvalidRequest(
                f"volume source {request.source} does not exist",
                hint="make it first, or correct the path",
            )


def make(root: Path, requests: Iterable[MountRequest]) -> None:
    """Make the volumes that do not exist yet, empty; raises `HostUnfit` for a full disk."""
    for request in requests:
        if request.kind is Source.VOLUME:
            with disk_errors(f"cannot make volume {request.source}"):
                _make(root / request.source, anonymous=request.anonymous)


def fill(root: Path, requests: Iterable[MountRequest], root_fd: int) -> None:
    """Give empty volumes what the image has in their place, as docker does.

    `root_fd` is the container's mounted root file system. Two containers that start at once
    fill a volume once. Raises `HostUnfit` for a full disk.
    """
    for request in requests:
        if request.kind is Source.VOLUME and request.copy:
            home = root / request.source
            with files.locked(home / "lock", timeout_s=_FILL_S):
                if not any((home / _DATA).iterdir()):
                    _fill(home / _DATA, root_fd, request.target)


def remove(root: Path, names: Iterable[str]) -> None:
    """Remove volumes; one that is gone already is removed."""
    for name in names:
        with disk_errors(f"cannot remove volume {name}"):
            files.remove_tree(root / name)


def is_anonymous(root: Path, name: str) -> bool:
    """Whether the volume was made for one container only."""
    return (root / name / _MARK).exists()


def _make(home: Path, *, anonymous: bool) -> None:
    home.mkdir(mode=0o701, parents=True, exist_ok=True)
    if anonymous:
        (home / _MARK).touch()
    (home / _DATA).mkdir(mode=0o755, exist_ok=True)


def _fill(data: Path, root_fd: int, target: str) -> None:
    """Copy the directory `target` of the image, owner and mode included."""
    try:
        source_fd = resolve_in_root(root_fd, target, flags=os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return  # the image has nothing there
    try:
        with disk_errors(f"cannot fill volume {data.parent.name}"), _replacing(data) as data_fd:
            walker = TreeWalker(source_fd, ".", name=".")
            extract(walker, data_fd, name=f"volume at {target}", rules=Rules(overlay=False))
            nodes.apply(data_fd, nodes.of_stat(os.fstat(source_fd), nodes.xattrs_of(source_fd)))
    finally:
        os.close(source_fd)


@contextlib.contextmanager
def _replacing(data: Path) -> Iterator[int]:
    """A directory that takes the place of the empty `data` when it is complete."""
    partial = data.with_name(f"{data.name}.tmp")
    files.remove_tree(partial)
    partial.mkdir(mode=0o755)
    try:
        fd = os.open(partial, nodes.DIRECTORY_FLAGS)
        try:
            yield fd
        finally:
            os.close(fd)
        partial.rename(data)
    finally:
        files.remove_tree(partial)
