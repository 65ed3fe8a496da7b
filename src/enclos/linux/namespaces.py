"""Namespaces: their names, who is in which, entering them, and becoming somebody's root.

The names of kinds are the runtime specification's.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn

from enclos.linux import libc

FLAGS: Final = {
    "mount": libc.CLONE_NEWNS,
    "pid": libc.CLONE_NEWPID,
    "network": libc.CLONE_NEWNET,
    "ipc": libc.CLONE_NEWIPC,
    "uts": libc.CLONE_NEWUTS,
    "user": libc.CLONE_NEWUSER,
    "cgroup": libc.CLONE_NEWCGROUP,
    "time": libc.CLONE_NEWTIME,
}
"""The kinds of namespaces and their flags."""
FILES: Final = {
    "mount": "mnt",
    "pid": "pid",
    "network": "net",
    "ipc": "ipc",
    "uts": "uts",
    "user": "user",
    "cgroup": "cgroup",
    "time": "time",
}
"""Names of the kinds in /proc/PID/ns."""
_NS_GET_NSTYPE: Final = 0xB703


def path_of(kind: str, pid: int | None = None) -> Path:
    """The file that stands for the namespace of `pid`, of the calling thread without one."""
    owner = "thread-self" if pid is None else str(pid)
    return Path(f"/proc/{owner}/ns/{FILES[kind]}")


def identity(kind: str, pid: int | None = None) -> tuple[int, int]:
    """Device and inode: equal if and only if two processes are in one namespace.

    Raises `ProcessLookupError` or `FileNotFoundError` for a process that is gone, and
    `PermissionError` for one that we may not trace.
    """
    return identity_of(path_of(kind, pid))


def identity_of(path: Path) -> tuple[int, int]:
    """The identity of the namespace that a path (a bind mount, for instance) stands for."""
    found = os.stat(path)
    return found.st_dev, found.st_ino


def open_namespace(path: Path) -> int:
    """A descriptor that keeps the namespace alive; the caller closes it."""
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def is_kind(descriptor: int, kind: str) -> bool:
    """Whether a descriptor is of a namespace, and of that kind (ioctl_ns(2), Linux 4.11)."""
    try:
        return fcntl.ioctl(descriptor, _NS_GET_NSTYPE) == FLAGS[kind]
    except OSError:  # ENOTTY: any other file
        return False


def flags_of(kinds: Sequence[str]) -> int:
    """The CLONE_NEW… flags of `kinds` together; raises `KeyError` for an unknown kind."""
    flags = 0
    for kind in kinds:
        flags |= FLAGS[kind]
    return flags


def unshare(kinds: Sequence[str]) -> None:
    """Give the calling thread namespaces of its own; a new pid one starts with its children.

    Raises `PermissionError`, `OSError` (`EINVAL` for kinds that this kernel lacks).
    """
    libc.unshare(flags_of(kinds))


def join(path: Path, kind: str) -> None:
    """Move the calling thread into the namespace behind `path`, which must be of `kind`.

    A pid namespace is joined by later children. Raises `OSError` (`EINVAL` for another kind).
    """
    descriptor = open_namespace(path)
    try:
        libc.setns(descriptor, FLAGS[kind])
    finally:
        os.close(descriptor)


@contextmanager
def entered(path: Path, kind: str) -> Iterator[None]:
    """Be in the namespace behind `path` for a while, this thread only, then return.

    Not for `mount` and `user`, which a process cannot leave and enter at will.
    """
    own = open_namespace(path_of(kind))
    try:
        join(path, kind)
        try:
            yield
        finally:
            libc.setns(own, FLAGS[kind])
    finally:
        os.close(own)


def fork_as_init() -> int:
    """Fork a child that is init of a new pid namespace; like `os.fork` otherwise.

    Later children of the parent stay in the parent's own namespace.
    """
    return _fork_after(lambda: libc.unshare(libc.CLONE_NEWPID))


def fork_into_pid(namespace: int) -> int:
    """Fork a child inside the pid namespace behind a descriptor; like `os.fork` otherwise.

    Raises `OSError` (`ENOMEM` where the namespace's init has died).
    """
    return _fork_after(lambda: libc.setns(namespace, libc.CLONE_NEWPID))


def _fork_after(choose: Callable[[], None]) -> int:
    """Fork after `choose` has said where children go, and let later ones be ours again."""
    own = open_namespace(path_of("pid"))
    pid = -1
    try:
        choose()
        try:
            pid = os.fork()
        finally:
            if pid != 0:  # the child is inside, from where there is no way back
                libc.setns(own, libc.CLONE_NEWPID)
    finally:
        os.close(own)
    return pid


@contextmanager
def user_namespace(uids: Sequence[str], gids: Sequence[str]) -> Iterator[int]:
    """A descriptor of a new user namespace with these lines of uid_map and gid_map, nobody in it.

    Raises `OSError` (`EINVAL` for mappings that overlap, `EPERM` without privileges).
    """
    ours, theirs = os.pipe2(os.O_CLOEXEC)
    ready, gate = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        _hold_user_namespace(theirs, ready, gate)
    for number in (theirs, ready):
        os.close(number)
    descriptor = -1
    try:
        if not os.read(ours, 1):
            raise libc.error_of(errno.EPERM, "unshare(CLONE_NEWUSER)")
        for name, lines in (("uid_map", uids), ("gid_map", gids)):
            with open(f"/proc/{child}/{name}", "w", encoding="ascii", buffering=1 << 16) as file:
                file.write("".join(f"{line}\n" for line in lines))
        descriptor = open_namespace(path_of("user", child))
        yield descriptor
    finally:
        for number in (ours, gate, descriptor):
            if number >= 0:
                os.close(number)
        os.waitpid(child, 0)


def _hold_user_namespace(told: int, ready: int, gate: int) -> NoReturn:
    """Be in a new user namespace until nobody holds the other end of `ready` any more."""
    status = 1
    try:
        os.close(gate)
        libc.unshare(libc.CLONE_NEWUSER)
        os.write(told, b"+")
        os.read(ready, 1)
        status = 0
    finally:
        os._exit(status)


def enter_root(new_root: Path) -> None:
    """Make the mount point `new_root` the root of this mount namespace and drop the old one.

    Needs a mount namespace of its own whose mounts are private or slaves.
    """
    os.chdir(new_root)
    libc.pivot_root(".", ".")
    libc.umount2(".", libc.MNT_DETACH)
    os.chdir("/")
