"""Where a stand-in lives: the namespaces that the spec lists, the container's root as its root.

With a stand-in in the host's mount namespace `podman cp` would write the host's files.
"""

from __future__ import annotations

import os
import stat
from typing import Final

from enclos.errors import WrongState
from enclos.linux import inroot, libc, mountapi, pidfd
from enclos.linux.pid import ProcessRef
from enclos.structs import dataclass

_STAGING: Final = "/proc"
"""Where the root is attached before the pivot: any directory that every host has; it is
covered in a private mount namespace and left at once."""


@dataclass(frozen=True, slots=True)
class Home:
    """Where the stand-in of a container's init lives.

    `unshared` are clone flags of namespaces it gets for itself, `joined` are descriptors of
    namespaces with their flag; `tree` is a detached clone of the root file system and `binds`
    detached clones with the destination they belong at.
    """

    unshared: int
    joined: tuple[tuple[int, int], ...]
    tree: int
    binds: tuple[tuple[int, str], ...]


def leave(home: Home) -> None:
    """Enter the namespaces that are joined, and new ones."""
    for descriptor, kind in home.joined:
        libc.setns(descriptor, kind)
    libc.unshare(home.unshared | libc.CLONE_NEWNS)


def join(init: ProcessRef) -> None:
    """Enter the home of a container's init; raises `WrongState` if that has ended."""
    descriptor = pidfd.open_verified(init)
    if descriptor is None:
        raise WrongState("its container's own stand-in process has ended")
    kinds = (
        libc.CLONE_NEWNS | libc.CLONE_NEWPID | libc.CLONE_NEWNET
        | libc.CLONE_NEWIPC | libc.CLONE_NEWUTS
    )  # fmt: skip
    libc.setns(descriptor, kinds)
    os.close(descriptor)


def settle(home: Home) -> None:
    """Make the container's root file system the root, its binds and a /proc in place.

    Targets are resolved inside the root (the image is hostile); those the guest's crun is
    about to make are made here in the same way.
    """
    libc.mount("", "/", "", libc.MS_REC | libc.MS_PRIVATE, "")
    mountapi.move_mount(home.tree, _STAGING)
    root = os.open(_STAGING, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    for tree, destination in home.binds:
        directory = stat.S_ISDIR(os.fstat(tree).st_mode)
        _attach(root, tree, destination, directory=directory)
    _attach(root, _proc(), "/proc", directory=True)
    os.fchdir(root)
    libc.pivot_root(".", ".")
    libc.umount2(".", libc.MNT_DETACH)
    os.chdir("/")


def _attach(root: int, tree: int, destination: str, *, directory: bool) -> None:
    target = inroot.ensure_target(root, destination, directory=directory)
    mountapi.move_mount(tree, "", directory=target)
    os.close(target)


def _proc() -> int:
    """A detached /proc of the pid namespace we are in."""
    context = mountapi.fsopen("proc")
    mountapi.create(context)
    return mountapi.fsmount(context, mountapi.MOUNT_ATTR_NOSUID | mountapi.MOUNT_ATTR_NODEV)
