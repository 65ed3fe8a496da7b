"""Volumes that their owner swaps as a whole (ConfigMaps, secrets and the like): found and followed.

The share shows a swap at once, but no event of inotify crosses it. So the guest has a copy of
such a volume, and is told of each swap that inotify reports here (decision 13). Known they are
by their form, not by their path: nothing but links by way of `..data`, and not too large.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from enclos import log
from enclos.errors import EnclosError
from enclos.linux import libc
from enclos.oci.types import Mount
from enclos.wire import messages as m
from enclos.wire.places import PROJECTED_LINK

if TYPE_CHECKING:
    import asyncio

    from enclos.sandbox.live import Container, Sandbox

MOST_BYTES: Final = 8 << 20
"""Of one volume: it is the guest's memory. Kubernetes' objects have at most 1 MiB each."""
MOST_ENTRIES: Final = 2048
_TIMEOUT_S: Final = 20
_READ_BYTES: Final = 65536
_LOOK: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def find(mounts: Sequence[Mount], bundle: Path) -> frozenset[str]:
    """The sources of bind mounts that are such volumes."""
    paths = {
        posixpath.normpath(posixpath.join(os.fspath(bundle), mount.source))
        for mount in mounts
        if mount.binds
    }
    return frozenset(path for path in paths if _is_projected(path))


def _is_projected(path: str) -> bool:
    try:
        data = _current(path)
        visible = [entry for entry in os.scandir(path) if not entry.name.startswith("..")]
        return all(entry.is_symlink() for entry in visible) and _fits(f"{path}/{data}")
    except OSError:
        return False  # no directory, or none like this


def _current(path: str) -> str:
    """The directory in the volume that has the contents now; raises `OSError`.

    A container that can write there by another way may have made the link.
    """
    data = os.readlink(f"{path}/{PROJECTED_LINK}")
    if "/" in data or not data.startswith("..") or data == "..":
        raise NotADirectoryError(f"{path}/{PROJECTED_LINK} leads out of the volume")
    return data


def _fits(path: str) -> bool:
    """Whether what is below `path`, which is no link, is small; raises `OSError`."""
    size = 0
    with closing(_sizes(os.open(path, _LOOK))) as sizes:
        for count, more in enumerate(sizes, 1):
            size += more
            if size > MOST_BYTES or count > MOST_ENTRIES:
                return False
    return True


def _sizes(top: int) -> Generator[int, None, None]:
    """A number for everything below the directory, by descriptors: no link is followed."""
    pending = [top]
    try:
        while pending:
            directory = pending.pop()
            try:
                with os.scandir(directory) as entries:
                    for entry in entries:
                        if entry.is_dir(follow_symlinks=False):
                            pending.append(os.open(entry.name, _LOOK, dir_fd=directory))
                        yield entry.stat(follow_symlinks=False).st_size
            finally:
                os.close(directory)
    finally:
        for descriptor in pending:
            os.close(descriptor)


def follow(sandbox: Sandbox, container: Container, names: Sequence[str]) -> None:
    """From now on tell the guest of each swap of the container's volumes `names`."""
    if not names:
        return
    loop = _loop()
    descriptor = container.projections = libc.inotify_init()
    base = sandbox.plan.share / container.record.id
    for name in names:
        libc.inotify_add_watch(descriptor, os.fspath(base / name), libc.IN_MOVED_TO)

    def swapped() -> None:
        os.read(descriptor, _READ_BYTES)
        task = loop.create_task(_tell(sandbox, container, names))
        sandbox.tasks.add(task)
        task.add_done_callback(sandbox.tasks.discard)

    loop.add_reader(descriptor, swapped)


def close(container: Container) -> None:
    """Follow no more."""
    if container.projections >= 0:
        _loop().remove_reader(container.projections)
        os.close(container.projections)
        container.projections = -1


async def _tell(sandbox: Sandbox, container: Container, names: Sequence[str]) -> None:
    """Say where each volume has its contents; the guest knows what it has already."""
    for name in names:
        path = os.fspath(sandbox.plan.share / container.record.id / name)
        try:
            data = _current(path)
            if not _fits(f"{path}/{data}"):
                log.warning("a projected volume has grown too large", path=path)
                continue
            message = m.Project(container.record.id, name, data)
            await sandbox.agent().call("project", message, m.Nothing, timeout_s=_TIMEOUT_S)
        except (EnclosError, OSError) as error:  # the next swap is told again
            log.info("a swap that the guest missed", path=path, error=error)


def _loop() -> asyncio.AbstractEventLoop:
    """The supervisor's; imported late, as creators need none."""
    import asyncio

    return asyncio.get_running_loop()
