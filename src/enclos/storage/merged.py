"""Layers seen as one tree without mounting them: overlayfs's rules, top first.

For directories that nobody changes meanwhile, or whose links are not followed anyway.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from typing import Final

from enclos.linux.inroot import resolve_in_root
from enclos.storage.extract import OPAQUE
from enclos.storage.rootfs import PlainRoot, RootFs

_LINKS: Final = 40
_READ_FLAGS: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW
MAX_TEXT_BYTES: Final = 4 << 20


def read_text(root: RootFs, path: str) -> str:
    """The text of a small file of a root file system that need not be mounted.

    Empty where there is no such regular file or it is over MAX_TEXT_BYTES: images have
    anything in the place of their /etc/passwd.
    """
    if isinstance(root, PlainRoot):
        return _read_plain(root, path)
    tops = (*((os.fspath(root.upper),) if root.upper.is_dir() else ()), *map(str, root.layers))
    found = _find(tops, path)
    return _read(os.open(found, _READ_FLAGS)) if found else ""


def look(directories: Sequence[str], name: str) -> tuple[os.stat_result | None, tuple[str, ...]]:
    """What the layers show under `name`, and the directories that make it up if it is one."""
    first: os.stat_result | None = None
    found: list[str] = []
    for directory in directories:
        path = f"{directory}/{name}"
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            continue
        if is_whiteout(status) or (first and not stat.S_ISDIR(status.st_mode)):
            break
        first = first or status
        if not stat.S_ISDIR(status.st_mode):
            break
        found.append(path)
        if is_opaque(path):
            break
    return first, tuple(found)


def is_whiteout(status: os.stat_result) -> bool:
    """Whether an entry hides what lies below it."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def is_opaque(path: str) -> bool:
    """Whether a directory hides the content of those below it."""
    try:
        return os.getxattr(path, OPAQUE) == b"y"
    except OSError:
        return False  # no such attribute


def _find(tops: Sequence[str], path: str) -> str:
    """The host's path of a regular file of the merged tree, links followed; or nothing."""
    pending = path.split("/")[::-1]
    trail: list[tuple[str, ...]] = [tuple(tops)]
    links = 0
    while pending:
        name = pending.pop()
        if name in {"", "."}:
            continue
        if name == "..":
            trail = trail[:-1] or trail
            continue
        status, directories = look(trail[-1], name)
        if status is None:
            return ""
        if stat.S_ISLNK(status.st_mode):
            links += 1
            target = os.readlink(_topmost(trail[-1], name))
            if links > _LINKS:
                return ""
            trail = trail[:1] if target.startswith("/") else trail
            pending += target.split("/")[::-1]
        elif directories:
            trail.append(directories)
        elif any(pending) or not stat.S_ISREG(status.st_mode):
            return ""
        else:
            return _topmost(trail[-1], name)
    return ""


def _topmost(directories: Sequence[str], name: str) -> str:
    """The path of what `look` found first."""
    paths = (f"{directory}/{name}" for directory in directories)
    return next(path for path in paths if os.path.lexists(path))


def _read_plain(root: PlainRoot, path: str) -> str:
    try:
        return _read(resolve_in_root(root.directory, path, flags=os.O_RDONLY | os.O_NONBLOCK))
    except OSError:
        return ""  # not there, or nothing to read


def _read(fd: int) -> str:
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return ""
        data = file.read(MAX_TEXT_BYTES + 1)
    return data.decode("utf-8", "replace") if len(data) <= MAX_TEXT_BYTES else ""
