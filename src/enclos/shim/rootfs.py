"""The mounts that a snapshotter gives for a root file system: at BUNDLE/rootfs on the host.

One that is a file with a file system in it (the snapshotters blockfile and erofs) is not mounted
here at all: the machine gets it as a disk, and a file system that a guest may have written no
kernel but the guest's ever reads.

They are made in containerd's mount namespace, where `nerdctl cp` and others look for them, and
taken away again by Delete and by the `delete` verb.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from enclos.errors import InvalidRequest, MachineFailed, Unsupported
from enclos.linux import libc, mount, overlay
from enclos.sandbox.disksources import RootFile
from enclos.shim import where
from enclos.structs import dataclass

_FLAGS: Final = {
    "ro": libc.MS_RDONLY,
    "nosuid": libc.MS_NOSUID,
    "nodev": libc.MS_NODEV,
    "noexec": libc.MS_NOEXEC,
    "noatime": libc.MS_NOATIME,
    "nodiratime": libc.MS_NODIRATIME,
    "relatime": libc.MS_RELATIME,
    "sync": libc.MS_SYNCHRONOUS,
}
_NO_FLAGS: Final = frozenset({"rw", "suid", "dev", "exec", "async", "defaults"})
_IN_GUEST: Final = frozenset({"ext4", "erofs"})
"""What the guest's kernel can mount from a disk."""
_TYPES: Final = frozenset({"ext4", "xfs", "btrfs", "erofs", "squashfs", "tmpfs"})


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount as the snapshotter names it; `target` is a path below the root."""

    type: str
    source: str
    target: str
    options: tuple[str, ...]


def file_of(mounts: Sequence[Mount]) -> RootFile | None:
    """The file that is to be the root file system; None for mounts of the host's.

    Raises `Unsupported` for such files among others, for several layers in one, and for a file
    system the guest has not.
    """
    if not any("loop" in one.options for one in mounts):
        return None
    first, *others = mounts
    if others or first.target.strip("/"):
        raise Unsupported(
            "root file systems of several mounts, one with the option loop, are not supported",
            hint="use the snapshotter overlayfs, native or blockfile",
        )
    if first.type not in _IN_GUEST:
        raise Unsupported(
            f"root file systems of type {first.type[:40]} with the option loop are not supported",
            hint=f"have the snapshotter make {' or '.join(sorted(_IN_GUEST))}",
        )
    flags, data = split([option for option in first.options if option != "loop"])
    layers = [option for option in data if option.partition("=")[0] == "device"]
    if layers:
        raise Unsupported(
            f"root file systems in several files ({layers[0][:80]}) are not supported",
            hint="have the snapshotter make one file, or use overlayfs or native",
        )
    return RootFile(Path(first.source), first.type, flags, ",".join(data))


def mount_all(mounts: Sequence[Mount], bundle: Path) -> None:
    """Mount them in order; raises, with none of them left, if one cannot be mounted."""
    root = bundle / where.ROOTFS
    try:
        for one in mounts:
            _mount(one, root)
    except OSError as error:
        unmount(bundle)
        raise MachineFailed(f"cannot mount the root file system: {error}") from error
    except InvalidRequest:
        unmount(bundle)
        raise


def mount_empty(bundle: Path) -> None:
    """Have an empty root there, where what stands for the container may put its mount points."""
    target, flags = os.fspath(bundle / where.ROOTFS), libc.MS_NOSUID | libc.MS_NODEV
    libc.mount("enclos", target, "tmpfs", flags, "mode=755,size=1m,nr_inodes=4k")


def unmount(bundle: Path) -> None:
    """Take every mount at BUNDLE/rootfs away; none is as good."""
    mount.unmount_below(bundle / where.ROOTFS, detach=True)


def _mount(one: Mount, root: Path) -> None:
    target = Path(f"{root}/{one.target.strip('/')}") if one.target.strip("/") else root
    if ".." in target.parts:
        raise InvalidRequest(f"mount target {one.target[:80]!r} leaves the root file system")
    options = one.options
    if one.type == "bind" or {"bind", "rbind"} & set(options):
        recursive = "rbind" in options
        mount.bind(one.source, target, recursive=recursive, readonly="ro" in options)
    elif one.type == "overlay":
        _overlay(options, target, one.source)
    elif one.type in _TYPES:
        flags, data = split(options)
        libc.mount(one.source, os.fspath(target), one.type, flags, ",".join(data))
    else:
        raise Unsupported(
            f"root file systems of type {one.type[:40]} are not supported",
            hint="use the snapshotter overlayfs, native or blockfile",
        )


def split(options: Sequence[str]) -> tuple[int, list[str]]:
    """The flags of mount(2) and what is left for the file system."""
    flags, rest = 0, list[str]()
    for option in options:
        if option in _FLAGS:
            flags |= _FLAGS[option]
        elif option not in _NO_FLAGS:
            rest.append(option)
    return flags, rest


def _overlay(options: Sequence[str], target: Path, name: str) -> None:
    named: dict[str, str] = {}
    others: list[str] = []
    flags, data = split(options)
    if flags:
        raise Unsupported("root file system: an overlay with flags of mount(2)", hint="leave them")
    for option in data:
        key, equals, value = option.partition("=")
        if equals and key in {"lowerdir", "upperdir", "workdir"}:
            named[key] = value
        else:
            others.append(option)
    layers = [Path(layer) for layer in named.get("lowerdir", "").split(":") if layer]
    if not layers:
        raise InvalidRequest("root file system: an overlay without lowerdir")
    overlay.overlay(
        target,
        lowerdirs=layers,
        upper=Path(named["upperdir"]) if "upperdir" in named else None,
        work=Path(named["workdir"]) if "workdir" in named else None,
        options=others,
        name=name or "overlay",
    )
