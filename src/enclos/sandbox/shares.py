"""What the guest sees of the host: trees bound into the sandbox's share directory.

The supervisor attaches detached trees that the caller opened in its own mount namespace, below
the share it made; virtiofsd's jail receives them by propagation.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from enclos.linux import libc, mountapi
from enclos.sandbox.live import Sandbox


def bind(sandbox: Sandbox, name: str, trees: list[int]) -> None:
    """Attach `trees` at share/NAME/rootfs, share/NAME/m0, m1, …; takes those it has attached."""
    base = sandbox.plan.share / name
    base.mkdir()
    base.chmod(0o755)  # whatever our umask: root of a user namespace passes as anybody
    for index in range(len(trees)):
        tree = trees[0]
        target = base / ("rootfs" if index == 0 else f"m{index - 1}")
        if stat.S_ISDIR(os.fstat(tree).st_mode):
            target.mkdir()
        else:
            target.touch()
        mountapi.move_mount(tree, os.fspath(target))
        os.close(trees.pop(0))


def unbind(sandbox: Sandbox, name: str) -> None:
    """Undo `bind`, also one that stopped half way; the guest no longer uses any of it."""
    base: Path = sandbox.plan.share / name
    if not base.exists():
        return
    for target in base.iterdir():
        _unmount(target)
        if target.is_dir():
            target.rmdir()
        else:
            target.unlink()
    base.rmdir()


def _unmount(target: Path) -> None:
    try:
        libc.umount2(os.fspath(target), libc.MNT_DETACH)
    except OSError as error:
        if error.errno != errno.EINVAL:  # which says that nothing is mounted there
            raise
