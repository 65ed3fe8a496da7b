"""One container's control group on the host, whichever version the host has.

With v1 hierarchies a group is one directory in each of them; functions here act on all. The
unified hierarchy of a hybrid host counts among them, as it does for runc.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from enclos.errors import HostUnfit, Unclean
from enclos.linux.cgroup import v1, v2
from enclos.linux.cgroup.layout import Layout, Mode
from enclos.structs import dataclass

_POLL_S: Final = 0.005
_TRIES: Final = 5
_GONE: Final = {errno.ENOENT, errno.ENODEV}


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits in force; None is unlimited."""

    memory_bytes: int | None
    cpus: float | None
    processes: int | None


@dataclass(frozen=True, slots=True)
class Group:
    """A group by its path below the mounts and its directories, by controller.

    The v2 directory has the key "" and, on a host without v1, serves every controller.
    """

    path: str
    directories: dict[str, Path]

    def directory(self, controller: str) -> Path | None:
        """Where a controller's files are; None if the host does not have it."""
        found = self.directories.get(controller)
        unified = self.directories.get("") if set(self.directories) == {""} else None
        return found or unified


def find(layout: Layout, path: str) -> Group:
    """The group at `path`, existing or not."""
    directories: dict[str, Path] = {}
    for hierarchy in layout.legacy:
        for controller in sorted(hierarchy.controllers) or [f"name={hierarchy.mount.name}"]:
            directories[controller] = hierarchy.mount / path
    if layout.unified is not None:
        directories[""] = layout.unified / path
    return Group(path, directories)


def create(layout: Layout, path: str) -> Group:
    """Make the group in every hierarchy; existing already is done.

    Raises `HostUnfit` if there are no control groups, or we may not write to them.
    """
    if layout.mode is Mode.NONE:
        raise HostUnfit(
            "no control groups are mounted", hint="mount -t cgroup2 none /sys/fs/cgroup"
        )
    try:
        _make(layout, path)
    except OSError as error:
        remove(find(layout, path))
        raise HostUnfit(
            f"cannot make the control group {path}: {error}",
            hint="run as root on the host, or with a writable /sys/fs/cgroup",
        ) from error
    return find(layout, path)


def _make(layout: Layout, path: str) -> None:
    """Again where a parent vanished meanwhile: who removes its last child may remove it too."""
    for attempt in range(_TRIES):
        try:
            for hierarchy in layout.legacy:
                v1.create(hierarchy, path)
            if layout.unified is not None:
                v2.create(layout.unified, path)
        except FileNotFoundError:
            if attempt == _TRIES - 1:
                raise
        else:
            return


def identity(group: Group) -> int:
    """A number that another group made at the same path later does not have; 0 for none."""
    for directory in _unique(group):
        try:
            return directory.stat().st_ino
        except FileNotFoundError:
            continue
    return 0


def open_entrance(group: Group) -> list[int]:
    """Descriptors by which a child can `enter` the group; the caller closes them.

    Raises `OSError` if the group is gone.
    """
    opened: list[int] = []
    try:
        for directory in _unique(group):
            opened.append(os.open(directory / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC))
    except OSError:
        for descriptor in opened:
            os.close(descriptor)
        raise
    return opened


def enter(entrance: Sequence[int]) -> None:
    """Move the calling process into the group, between fork and exec; raises `OSError`."""
    for descriptor in entrance:
        os.write(descriptor, b"0")


def place(group: Group, pid: int) -> None:
    """Move a process (0: the caller) into the group, in every hierarchy; raises `OSError`."""
    for directory in _unique(group):
        _write(directory / "cgroup.procs", str(pid))


def write(group: Group, controller: str, *, file: str, value: str) -> None:
    """Write one control file; raises `HostUnfit` naming controller, file and value."""
    directory = group.directory(controller)
    if directory is None:
        raise HostUnfit(
            f"the host has no {controller} control group, needed for {file}",
            hint="boot the host's kernel with that controller",
        )
    try:
        _write(directory / file, value)
    except OSError as error:
        raise HostUnfit(
            f"the host's kernel refuses {file}={value[:80]}: {error}", hint="see cgroups(7)"
        ) from error


def limits(group: Group) -> Limits:
    """The group's own limits, not its parents'."""
    version = v2 if set(group.directories) == {""} else v1
    memory, cpu, pids = (group.directory(name) for name in ("memory", "cpu", "pids"))
    return Limits(
        memory_bytes=version.memory_limit(memory) if memory else None,
        cpus=version.cpu_limit(cpu) if cpu else None,
        processes=version.pids_limit(pids) if pids else None,
    )


def processes(group: Group) -> list[int]:
    """Pids in the group and below it, in any hierarchy."""
    found: set[int] = set()
    for directory in _unique(group):
        for below, _, _ in os.walk(directory):
            found.update(_pids(Path(below)))
    return sorted(found)


def freeze(group: Group, *, frozen: bool) -> None:
    """Stop or resume all processes; raises `OSError`, nothing where there is no freezer."""
    if "freezer" in group.directories:
        v1.freeze(group.directories["freezer"], frozen=frozen)
    elif "" in group.directories:
        v2.freeze(group.directories[""], frozen=frozen)


def kill(group: Group, *, timeout_s: float = 5) -> list[int]:
    """Kill every process in the group and wait; answers the pids still there at the limit.

    A process that is forked meanwhile is killed in a later round; a frozen one is thawed, as
    version 1 needs it to die.
    """
    deadline = time.monotonic() + timeout_s
    unified = group.directories.get("")
    if unified is not None and unified.is_dir():
        v2.kill(unified)
    while (left := processes(group)) and time.monotonic() < deadline:
        for pid in left:
            _kill(pid)
        if "freezer" in group.directories:
            v1.freeze(group.directories["freezer"], frozen=False)
        time.sleep(_POLL_S)
    return left


def remove(group: Group, *, timeout_s: float = 2) -> None:
    """Remove the group and what is below it, in every hierarchy; gone already is done.

    Parents stay, as with runc. Raises `Unclean` if processes are left in it.
    """
    deadline = time.monotonic() + timeout_s
    for directory in _unique(group):
        for below, _, _ in os.walk(directory, topdown=False):
            _remove(Path(below), deadline)


def remove_if_empty(group: Group) -> None:
    """Remove the group where it holds neither processes nor groups, else leave it."""
    for directory in _unique(group):
        try:
            directory.rmdir()
        except OSError as error:
            if error.errno not in {*_GONE, errno.EBUSY, errno.ENOTEMPTY}:
                raise


def _remove(directory: Path, deadline: float) -> None:
    """The kernel says EBUSY for a moment after the last process has gone."""
    while True:
        try:
            directory.rmdir()
        except OSError as error:
            if error.errno in _GONE:
                return
            if error.errno != errno.EBUSY or time.monotonic() >= deadline:
                pids = _pids(directory)
                raise Unclean(
                    f"cannot remove the control group {directory}: {error}",
                    hint="end what is left in it",
                    detail=f"processes: {pids}" if pids else "",
                ) from error
            time.sleep(_POLL_S)
        else:
            return


def _unique(group: Group) -> list[Path]:
    """Controllers that share a hierarchy share a directory."""
    return list(dict.fromkeys(group.directories.values()))


def _pids(directory: Path) -> list[int]:
    try:
        words = (directory / "cgroup.procs").read_bytes().split()
    except OSError as error:
        if error.errno in _GONE or error.errno == errno.EOPNOTSUPP:
            return []  # removed meanwhile, or a threaded group
        raise
    return [int(word) for word in words if word != b"0"]  # 0: in a pid namespace above ours


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # ended by itself


def _write(file: Path, value: str) -> None:
    """One write: the kernel takes a control file's value in one piece."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, value.encode())
    finally:
        os.close(descriptor)
