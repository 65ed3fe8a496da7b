"""Layers of an image unpacked once, each into a directory that overlayfs takes as a lower one.

A layer is known by its chain id: directories that an archive uses without containing them get
the attributes they have in the layers below. Two callers unpack a layer once (a lock for each);
a directory with its final name is complete, checked against both digests and on disk.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from enclos.linux import files, libc
from enclos.linux.inroot import resolve_in_root
from enclos.storage import nodes
from enclos.storage.blobs import check_blob, mismatch, open_archive, unpack_errors
from enclos.storage.disk import disk_errors
from enclos.storage.extract import Rules, extract
from enclos.storage.progress import Report
from enclos.storage.store import Image, ImageStore, Layer, hold
from enclos.storage.tarstream import TarReader
from enclos.structs import dataclass

_UNPACK_S: Final = 3600.0
"""How long to wait for another process that unpacks the same layer."""


@dataclass(frozen=True, slots=True)
class _Task:
    """One layer to unpack: where it goes, and the unpacked layers below it, top first."""

    image: str
    layer: Layer
    blob: Path
    target: Path
    below: tuple[Path, ...]


def ensure(store: ImageStore, image: Image, *, report: Report) -> tuple[Path, ...]:
    """Directories of the image's layers, **top first** as overlayfs wants them.

    Unpacks what is missing. Raises `InvalidRequest` for a damaged or hostile image and
    `HostUnfit` for a full disk; then nothing is left of the layer in question. Call it within
    `hold` if the result is to outlive a concurrent `remove`.
    """
    done: tuple[Path, ...] = ()
    with hold(store):
        for at, (layer, chain_id) in enumerate(zip(image.layers, image.chain, strict=True), 1):
            target = store.layer(chain_id)
            if not target.exists():
                report.line(f"unpacking layer {at} of {len(image.layers)}: {layer.digest}")
                _once(_Task(image.name, layer, store.blob(layer.digest), target, done))
            done = (target / "diff", *done)
    return done


def unpacked_bytes(store: ImageStore, image: Image) -> int:
    """Bytes of the image's files, counting packed bytes for layers not unpacked yet."""
    return sum(
        _size(store.layer(chain_id), layer.size_bytes)
        for layer, chain_id in zip(image.layers, image.chain, strict=True)
    )


def _size(directory: Path, otherwise: int) -> int:
    try:
        return int((directory / "size").read_text())
    except FileNotFoundError:
        return otherwise


def _once(task: _Task) -> None:
    with files.locked(task.target.with_suffix(".lock"), timeout_s=_UNPACK_S):
        if not task.target.exists():
            with _partial(task) as partial:
                _unpack(task, partial)


@contextlib.contextmanager
def _partial(task: _Task) -> Iterator[Path]:
    """A directory that becomes the layer's at the end, or nothing after an error."""
    partial = task.target.with_suffix(".tmp")
    with disk_errors(f"image {task.image}: cannot unpack layer {task.layer.digest}"):
        files.remove_tree(partial)
        partial.mkdir(mode=0o700)
        try:
            yield partial
            _sync(partial)  # a layer that survives a power cut under its name must be whole
            partial.rename(task.target)
        finally:
            files.remove_tree(partial)


def _unpack(task: _Task, partial: Path) -> None:
    name = f"image {task.image}: layer {task.layer.digest}"
    check_blob(task.blob, task.layer.digest, image=task.image, discard=True)
    diff = partial / "diff"
    diff.mkdir(mode=0o755)
    with _directory(diff) as root_fd, _directories(task.below) as below:
        _copy_root(root_fd, below)
        with open_archive(task.blob) as (source, digesting), unpack_errors(name):
            reader = TarReader(source, name=name)
            rules = Rules(overlay=True, like=lambda path: _like(below, path))
            total = extract(reader, root_fd, name=name, rules=rules)
            reader.drain()
            found = digesting.digest
    if found != task.layer.diff_id:
        raise mismatch(task.image, f"{task.layer.digest} unpacked ({task.layer.diff_id})", found)
    (partial / "size").write_text(f"{total}\n")


def _sync(directory: Path) -> None:
    with _directory(directory) as fd:
        libc.call("syncfs", fd)


def _copy_root(root_fd: int, below: Sequence[int]) -> None:
    """A layer without an entry for the root must not change the root's attributes."""
    if below:
        nodes.apply(root_fd, _attributes(below[0]))


def _like(below: Sequence[int], path: str) -> nodes.Metadata | None:
    """Attributes of the directory `path` in the topmost layer below that has it."""
    for fd in below:
        try:
            found = resolve_in_root(fd, path, flags=os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            continue  # not here, or no directory here
        try:
            return _attributes(found)
        finally:
            os.close(found)
    return None


def _attributes(fd: int) -> nodes.Metadata:
    return nodes.of_stat(os.fstat(fd), nodes.xattrs_of(fd))


@contextlib.contextmanager
def _directories(paths: Sequence[Path]) -> Iterator[list[int]]:
    """Descriptors of the layers below, top first."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(_directory(path)) for path in paths]


@contextlib.contextmanager
def _directory(path: Path) -> Iterator[int]:
    fd = os.open(path, nodes.DIRECTORY_FLAGS)
    try:
        yield fd
    finally:
        os.close(fd)
