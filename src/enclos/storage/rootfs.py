"""A container's root file system: layers below, a writable directory above, mounted together.

Mounting is for a private mount namespace, which is the caller's to make: the host's table of
mounts stays as it is.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from enclos.errors import HostUnfit, InvalidRequest, NotFound
from enclos.linux import files, libc, overlay
from enclos.linux.mount import make_slave
from enclos.storage import nodes
from enclos.storage.disk import disk_errors
from enclos.structs import dataclass

_OPTIONS: Final = ("index=off", "metacopy=off", "redirect_dir=nofollow")
"""Nothing that makes an upper directory mean more than its entries: `changes` reads it."""


@dataclass(frozen=True, slots=True)
class LayeredRoot:
    """Directories of layers, **top first**, and the container's own below `home`."""

    layers: tuple[Path, ...]
    home: Path

    @property
    def upper(self) -> Path:
        """What the container has changed."""
        return self.home / "upper"

    @property
    def work(self) -> Path:
        """overlayfs's own, on the file system of `upper`."""
        return self.home / "work"

    @property
    def empty(self) -> Path:
        """The layer of an image without layers."""
        return self.home / "empty"

    @property
    def volatile(self) -> Path:
        """Says in which boot of the host it was mounted without being written to disk."""
        return self.home / "volatile"

    @property
    def merged(self) -> Path:
        """Where it is mounted, in the namespaces that have it."""
        return self.home / "merged"


@dataclass(frozen=True, slots=True)
class PlainRoot:
    """A directory as it is: `--rootfs DIR`."""

    directory: Path


RootFs = LayeredRoot | PlainRoot


def prepare(root: RootFs) -> None:
    """Make what mounting needs; a second time nothing happens.

    Raises `NotFound` for a layer or directory that is missing, `InvalidRequest` for a plain
    root that is no directory, `HostUnfit` for a full disk.
    """
    if isinstance(root, PlainRoot):
        _check_plain(root)
        return
    _check_layers(root)
    with disk_errors(f"cannot make the root file system in {root.home}"):
        for path in (root.home, root.work, root.empty, root.merged):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not root.upper.exists():
            _make_upper(root)


def mount(root: RootFs, *, volatile: bool = False) -> Path:
    """Mount in the current namespace, which must be a private one; the place to find it at.

    `volatile`: never written to disk for sure, so quicker; for containers that are removed
    when they end. Raises `HostUnfit` if such a one is to be mounted after the host's crash.
    """
    prepare(root)
    if isinstance(root, PlainRoot):
        return root.directory
    _allow_again(root)
    if volatile:
        root.volatile.write_text(_boot_id())
    options = (*_OPTIONS, "volatile") if volatile else _OPTIONS
    with disk_errors(f"cannot mount the root file system in {root.home}"):
        overlay.overlay(
            root.merged,
            lowerdirs=root.layers or (root.empty,),
            upper=root.upper,
            work=root.work,
            options=options,
        )
    return root.merged


@contextlib.contextmanager
def opened(root: RootFs) -> Iterator[int]:
    """A descriptor of the root's top, for `transfer`; for a container that does not run.

    The calling thread is in a mount namespace of its own from then on.
    """
    if isinstance(root, LayeredRoot):
        libc.unshare(libc.CLONE_NEWNS)
        make_slave(Path("/"))
    place = mount(root)
    fd = os.open(place, nodes.DIRECTORY_FLAGS)
    try:
        yield fd
    finally:
        os.close(fd)
        if isinstance(root, LayeredRoot):
            libc.umount2(os.fspath(place), libc.MNT_DETACH)


def remove(root: RootFs) -> None:
    """Remove what `prepare` made; a plain root is the user's and stays."""
    if isinstance(root, LayeredRoot):
        with disk_errors(f"cannot remove the root file system in {root.home}"):
            for path in (root.upper, root.work, root.empty, root.merged, root.volatile):
                files.remove_tree(path)


def _allow_again(root: LayeredRoot) -> None:
    """overlayfs refuses a directory once mounted volatile, for the host might have crashed
    since. If it is still up, nothing was lost, and its mark may go."""
    if not root.volatile.exists():
        return
    if root.volatile.read_text() != _boot_id():
        raise HostUnfit(
            f"the files in {root.home} were not on disk when the host went down",
            hint="remove the container, or run without --rm",
        )
    files.remove_tree(root.work / "work/incompat")


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _check_plain(root: PlainRoot) -> None:
    if not root.directory.exists():
        raise NotFound(
            f"root file system {root.directory} does not exist", hint="check the path of --rootfs"
        )
    if not root.directory.is_dir():
        raise InvalidRequest(
            f"root file system {root.directory} is not a directory",
            hint="give the directory that holds bin, etc and so on",
        )


def _check_layers(root: LayeredRoot) -> None:
    for path in root.layers:
        if not path.is_dir():
            raise NotFound(
                f"layer {path.parent.name[:12]} of the container's image is gone",
                hint="pull the image again, or remove the container",
            )


def _make_upper(root: LayeredRoot) -> None:
    """The merged root looks like the upper directory, which must look like the image's."""
    partial = root.home / "upper.tmp"
    files.remove_tree(partial)
    partial.mkdir(mode=0o755)
    if root.layers:
        fd = os.open(root.layers[0], nodes.DIRECTORY_FLAGS)
        try:
            metadata = nodes.of_stat(os.fstat(fd), nodes.xattrs_of(fd))
        finally:
            os.close(fd)
        _apply(partial, metadata)
    partial.rename(root.upper)


def _apply(path: Path, metadata: nodes.Metadata) -> None:
    fd = os.open(path, nodes.DIRECTORY_FLAGS)
    try:
        nodes.apply(fd, metadata)
    finally:
        os.close(fd)
