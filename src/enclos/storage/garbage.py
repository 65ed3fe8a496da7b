"""What no image and no container uses any more, removed: blobs, unpacked layers, leftovers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from enclos import log
from enclos.linux import files
from enclos.storage.disk import disk_errors
from enclos.storage.store import Image, ImageStore, alone, read_index


def collect(store: ImageStore, *, in_use: frozenset[str]) -> bool:
    """Remove everything that neither the index nor `in_use` names; whether it was possible.

    `in_use` holds manifest digests and chain ids. While anybody else works with the store
    nothing is done: the next collection finds it all.
    """
    with alone(store) as nobody_else:
        if not nobody_else:
            log.info("image store is busy, garbage stays for now", root=store.data_root)
            return False
        images = tuple(read_index(store).images.values())
        with disk_errors("cannot remove unused images"):
            for path in (*_blobs(store, images), *_layers(store, images, in_use)):
                _discard(path)
            for path in (*store.scratch_root.iterdir(), *store.locks.iterdir()):
                files.remove_tree(path)
    return True


def _discard(path: Path) -> None:
    """Remove; a layer loses its name first, for what has the name must be whole."""
    if path.is_dir() and not path.suffix:
        path = path.rename(path.with_suffix(".tmp"))
    files.remove_tree(path)


def _blobs(store: ImageStore, images: tuple[Image, ...]) -> Iterator[Path]:
    kept = {digest for image in images for digest in _digests(image)}
    directory = store.blobs / "sha256"
    if directory.is_dir():
        yield from (path for path in directory.iterdir() if f"sha256:{path.name}" not in kept)


def _digests(image: Image) -> Iterator[str]:
    yield image.digest
    yield image.config_digest
    yield from (layer.digest for layer in image.layers)


def _layers(store: ImageStore, images: tuple[Image, ...], in_use: frozenset[str]) -> Iterator[Path]:
    """Layers, and what interrupted unpacking left; locks go with them, for we are alone."""
    kept = in_use.union(*(image.chain for image in images))
    for path in store.layers.iterdir():
        if path.suffix or f"sha256:{path.name}" not in kept:
            yield path
