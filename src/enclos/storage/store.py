"""Where images and layers lie below the data root, their index, and the locks on them.

    images/index.json         names and what they stand for, replaced by rename
    images/blobs/sha256/HEX   manifests, configurations and packed layers of all images
    images/tmp/, locks/       layouts under construction; names being fetched
    layers/HEX/diff           an unpacked layer in overlayfs form, named by chain id
    layers/HEX.tmp            one being unpacked (or left by a crash: redone under its lock)

Whoever pulls, unpacks or is about to use an image keeps `hold`; the collection of garbage
waits for nobody and simply does not happen while anyone holds.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from enclos.errors import HostUnfit, TimedOut
from enclos.linux import files
from enclos.storage.manifest import chain_ids
from enclos.structs import dataclass
from enclos.wire.codec import CodecError, decode, encode

_WAIT_S: Final = 120.0
"""For locks that are held while the index is written or garbage is collected."""
_FETCH_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of an image: its packed blob, and the digest of its unpacked archive."""

    digest: str
    size_bytes: int
    diff_id: str


@dataclass(frozen=True, slots=True)
class Image:
    """One image of the store under one of its names.

    `digest` is of its manifest and `config_digest` its id in docker's sense. `stamp` tells
    whether the file or layout that it came from has changed since.
    """

    name: str
    digest: str
    config_digest: str
    architecture: str
    created: str
    stamp: str
    layers: tuple[Layer, ...]

    @property
    def chain(self) -> tuple[str, ...]:
        """Chain ids of the layers, lowest first."""
        return chain_ids([layer.diff_id for layer in self.layers])

    @property
    def packed_bytes(self) -> int:
        """Bytes of all layers as they were fetched."""
        return sum(layer.size_bytes for layer in self.layers)


@dataclass(frozen=True, slots=True)
class Index:
    """All images of the store, by name."""

    images: dict[str, Image]


@dataclass(frozen=True, slots=True)
class ImageStore:
    """The store below one data root; making this value touches nothing."""

    data_root: Path

    @property
    def images(self) -> Path:
        """Directory of the index, the blobs and the work in progress."""
        return self.data_root / "images"

    @property
    def blobs(self) -> Path:
        """Directory shared by all images, as skopeo's --dest-shared-blob-dir takes it."""
        return self.images / "blobs"

    @property
    def layers(self) -> Path:
        """Directory of unpacked layers."""
        return self.data_root / "layers"

    @property
    def scratch_root(self) -> Path:
        """Parent of `scratch` directories."""
        return self.images / "tmp"

    @property
    def locks(self) -> Path:
        """Directory of the locks of names being fetched."""
        return self.images / "locks"

    def blob(self, digest: str) -> Path:
        """Path of the blob with this digest, which has been checked to be one."""
        return self.blobs / digest.replace(":", "/", 1)

    def layer(self, chain_id: str) -> Path:
        """Directory of the layer with this chain id."""
        return self.layers / chain_id.rpartition(":")[2]


@contextlib.contextmanager
def hold(store: ImageStore) -> Iterator[None]:
    """Keep the garbage collection away; any number of holders at once.

    The caller of `images.resolve` and `layers.ensure` holds until the container's record
    names the image, so that a removal meanwhile sees it in use. A child forked within keeps
    nothing: the lock is given back at the end.
    """
    _prepare(store)
    with files.locked(store.images / "use.lock", timeout_s=_WAIT_S, shared=True):
        yield


@contextlib.contextmanager
def alone(store: ImageStore) -> Iterator[bool]:
    """Yield whether nobody holds the store; if so, nobody can begin to until the end."""
    _prepare(store)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(files.locked(store.images / "use.lock", timeout_s=0))
        except TimedOut:
            yield False
        else:
            yield True


@contextlib.contextmanager
def one_by_name(store: ImageStore, name: str) -> Iterator[None]:
    """Let one process at a time fetch this name: the next finds the blobs. Only within `hold`."""
    key = hashlib.sha256(os.fsencode(name)).hexdigest()[:32]
    with files.locked(store.locks / f"{key}.lock", timeout_s=_FETCH_S):
        yield


@contextlib.contextmanager
def scratch(store: ImageStore) -> Iterator[Path]:
    """A fresh directory on the blobs' file system, removed at the end. Only within `hold`."""
    path = store.scratch_root / os.urandom(8).hex()
    path.mkdir(mode=0o700)
    try:
        yield path
    finally:
        files.remove_tree(path)


def read_index(store: ImageStore) -> Index:
    """The index as it is now; empty where none was written."""
    path = store.images / "index.json"
    try:
        return decode(Index, path.read_bytes())
    except FileNotFoundError:
        return Index({})
    except CodecError as error:
        raise HostUnfit(
            f"the image index {path} is damaged: {error.message}",
            hint=f"remove {path} and pull the images again",
        ) from error


def change_index(store: ImageStore, change: Callable[[Index], Index]) -> Index:
    """Replace the index by what `change` makes of it, alone and by rename."""
    _prepare(store)
    with files.locked(store.images / "index.lock", timeout_s=_WAIT_S):
        index = change(read_index(store))
        files.write_atomic(store.images / "index.json", encode(index), sync=True)
    return index


def with_image(index: Index, image: Image) -> Index:
    """The index with the image under its name, in place of what had the name."""
    return Index({**index.images, image.name: image})


def without_name(index: Index, names: Sequence[str]) -> Index:
    """The index without these names."""
    return Index({name: item for name, item in index.images.items() if name not in names})


def _prepare(store: ImageStore) -> None:
    for path in (store.images, store.layers, store.scratch_root, store.locks):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
