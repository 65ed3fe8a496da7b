"""Paths inside a root file system that an image's author or a guest may have prepared.

Symbolic links are resolved as if the root were `/` (openat2, Linux 5.6): none leads outside,
not even one that is exchanged while we look. Answers are descriptors, never path names, because
a name could mean something else a moment later.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

from enclos.linux import libc

_LINKS: Final = 40
"""Symbolic links in one path, as the kernel's own limit."""
_RACES: Final = 64
_LOOK: Final = os.O_PATH | os.O_CLOEXEC


def open_root(root: Path) -> int:
    """A descriptor of the directory `root`, good for the functions here and for mounting on."""
    return os.open(root, _LOOK | os.O_DIRECTORY)


def resolve_in_root(
    root: Path | int, path: str, *, flags: int = os.O_PATH, mode: int = 0, follow: bool = True
) -> int:
    """Open `path` as if `root` were `/`; the caller closes the descriptor.

    Raises `FileNotFoundError`, `NotADirectoryError`, `OSError` (`ELOOP`). Magic links of a
    /proc in the root are refused.
    """
    if not isinstance(root, int):
        descriptor = open_root(root)
        try:
            return resolve_in_root(descriptor, path, flags=flags, mode=mode, follow=follow)
        finally:
            os.close(descriptor)
    resolve = libc.RESOLVE_IN_ROOT | libc.RESOLVE_NO_MAGICLINKS
    flags |= 0 if follow else os.O_NOFOLLOW
    for _ in range(_RACES):
        try:
            return libc.openat2(root, path or ".", flags=flags, mode=mode, resolve=resolve)
        except BlockingIOError:
            continue  # EAGAIN: something was renamed while `..` was looked up
    raise libc.error_of(errno.EAGAIN, "openat2", path)


def ensure_target(root: int, path: str, *, directory: bool) -> int:
    """A descriptor of `path` inside `root`, made with its parents if missing (0755, empty).

    A dangling symbolic link is followed and what it names is made, as runc does. Raises
    `NotADirectoryError`, `IsADirectoryError` or `OSError` (`ELOOP`, `EROFS`).
    """
    pending = path.split("/")[::-1]
    done: list[str] = []
    links = 0
    while pending:
        name = pending.pop()
        if name in {"", "."}:
            continue
        if name == "..":
            done = done[:-1]
            continue
        last = all(rest in {"", "."} for rest in pending)
        target = _step(root, done, name=name, directory=directory or not last)
        if target is None:
            done.append(name)
            continue
        links += 1
        if links > _LINKS:
            raise libc.error_of(errno.ELOOP, "ensure_target", path)
        done = [] if target.startswith("/") else done
        pending += target.split("/")[::-1]
    return _arrive(root, done, path, directory=directory)


def _step(root: int, done: list[str], *, name: str, directory: bool) -> str | None:
    """Look at, or make, `name` below the resolved `done`; a symbolic link's target if it is one."""
    parent = _reopen(root, done, os.O_DIRECTORY)
    try:
        for _ in range(_RACES):
            try:
                found = os.stat(name, dir_fd=parent, follow_symlinks=False)
            except FileNotFoundError:
                _make(parent, name, directory=directory)
                continue
            return os.readlink(name, dir_fd=parent) if stat.S_ISLNK(found.st_mode) else None
    finally:
        os.close(parent)
    raise libc.error_of(errno.EAGAIN, "ensure_target", name)


def _make(parent: int, name: str, *, directory: bool) -> None:
    try:
        if directory:
            os.mkdir(name, 0o755, dir_fd=parent)
        else:
            flags = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            os.close(os.open(name, flags, 0o755, dir_fd=parent))
    except FileExistsError:
        return  # somebody was faster; the next look shows what it is


def _reopen(root: int, done: list[str], flags: int) -> int:
    resolve = libc.RESOLVE_IN_ROOT | libc.RESOLVE_NO_SYMLINKS
    return libc.openat2(root, "/".join(done) or ".", flags=_LOOK | flags, resolve=resolve)


def _arrive(root: int, done: list[str], path: str, *, directory: bool) -> int:
    descriptor = _reopen(root, done, 0)
    found = stat.S_ISDIR(os.fstat(descriptor).st_mode)
    if found == directory:
        return descriptor
    os.close(descriptor)
    raise libc.error_of(errno.ENOTDIR if directory else errno.EISDIR, "ensure_target", path)
