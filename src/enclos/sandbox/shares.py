"""What the guest sees of the host: trees bound into the sandbox's share directory.

The supervisor attaches detached trees that the caller opened in its own mount namespace, below
the share it made; virtiofsd's jail receives them by propagation.

Two mounts of one directory are two file systems for the guest: neither sockets nor locks would
be the same in both. So what several containers have is mounted once, at share/@volumes/N, and
each has a link to it.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from enclos.linux import libc, mountapi
from enclos.sandbox.live import Sandbox, Volume
from enclos.sandbox.trees import READONLY
from enclos.wire.places import VOLUMES_NAME


def bind(sandbox: Sandbox, name: str, trees: list[int], alike: tuple[str, ...]) -> None:
    """Attach `trees` at share/NAME/rootfs, share/NAME/m0, m1, …; takes those it has attached.

    `alike` says of each of the sources what has to be equal for it to be shared with others;
    an empty text, or none at all, for what cannot be.
    """
    base = sandbox.plan.share / name
    base.mkdir()
    base.chmod(0o755)  # whatever our umask: root of a user namespace passes as anybody
    for index in range(len(trees)):
        if index == 0 or not alike or not (key := alike[index - 1]):
            _attach(trees, base / ("rootfs" if index == 0 else f"m{index - 1}"))
            continue
        volume = _volume(sandbox, trees, key)
        volume.users.add(name)
        (base / f"m{index - 1}").symlink_to(f"../{VOLUMES_NAME}/{volume.number}")


def unbind(sandbox: Sandbox, name: str) -> None:
    """Undo `bind`, also one that stopped half way; the guest no longer uses any of it."""
    base: Path = sandbox.plan.share / name
    if base.exists():
        for target in base.iterdir():
            _detach(target)
        base.rmdir()
    for key, volume in list(sandbox.volumes.items()):
        volume.users.discard(name)
        if not volume.users:
            del sandbox.volumes[key]
            _detach(sandbox.plan.share / VOLUMES_NAME / str(volume.number))


def _volume(sandbox: Sandbox, trees: list[int], key: str) -> Volume:
    """Where the first of `trees` is: with another that is alike, or attached now.

    What may only be read can be with what may be written: the machine has that right already.
    """
    for other in (key.removesuffix(READONLY), key):
        if other in sandbox.volumes:
            os.close(trees.pop(0))
            return sandbox.volumes[other]
    place = sandbox.plan.share / VOLUMES_NAME
    if not place.exists():
        place.mkdir()
        place.chmod(0o755)
    volume = Volume(next(sandbox.volume_numbers))
    sandbox.volumes[key] = volume
    _attach(trees, place / str(volume.number))
    return volume


def _attach(trees: list[int], target: Path) -> None:
    tree = trees[0]
    if stat.S_ISDIR(os.fstat(tree).st_mode):
        target.mkdir()
    else:
        target.touch()
    mountapi.move_mount(tree, os.fspath(target))
    os.close(trees.pop(0))


def _detach(target: Path) -> None:
    if target.is_symlink() or not target.exists():
        target.unlink(missing_ok=True)
        return
    _unmount(target)
    if target.is_dir():
        target.rmdir()
    else:
        target.unlink()


def _unmount(target: Path) -> None:
    try:
        libc.umount2(os.fspath(target), libc.MNT_DETACH)
    except OSError as error:
        if error.errno != errno.EINVAL:  # which says that nothing is mounted there
            raise
