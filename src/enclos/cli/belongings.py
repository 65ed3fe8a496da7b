"""What a container of ours has below the data root: its spec, its root file system, its log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from enclos.cli import lookup
from enclos.cli.home import Home
from enclos.errors import NotFound, Unclean
from enclos.linux import files
from enclos.oci import load
from enclos.oci.types import Spec
from enclos.state.definitions import Definition
from enclos.storage.rootfs import LayeredRoot, PlainRoot, RootFs
from enclos.storage.store import ImageStore

SPEC: Final = "config.json"
LOG: Final = "log"
IMAGE: Final = "image"
DIRECTORY: Final = "directory"
"""Values of a definition's `rootfs_kind`."""
_LOCK: Final = "lock"
_LOCK_TIMEOUT_S: Final = 300
NO_COPY: Final = "nocopy"
"""Option of a volume that does not begin with what the image has in its place."""


@contextmanager
def alone(home: Home, container_id: str) -> Iterator[None]:
    """Start, restart or remove a container without somebody else doing so meanwhile."""
    path = lookup.directory(home, container_id) / _LOCK
    with ExitStack() as held:
        try:
            held.enter_context(files.locked(path, timeout_s=_LOCK_TIMEOUT_S))
        except FileNotFoundError as error:
            raise NotFound(
                f"no such container: {container_id}", hint="it was removed a moment ago"
            ) from error
        yield


def root_of(home: Home, definition: Definition) -> RootFs:
    """The container's root file system."""
    if definition.rootfs_kind == DIRECTORY:
        return PlainRoot(Path(definition.rootfs))
    store = ImageStore(home.data_root)
    layers = tuple(store.layer(chain_id) / "diff" for chain_id in definition.layers)
    return LayeredRoot(layers, lookup.directory(home, definition.id))


def spec_of(home: Home, container_id: str) -> Spec:
    """The spec the container was defined with; raises `Unclean` if it is gone."""
    path = lookup.directory(home, container_id) / SPEC
    try:
        return load.load_spec(files.read_bounded(path, load.MAX_BYTES), file=str(path))
    except FileNotFoundError as error:
        raise Unclean(
            f"{path} is gone", hint=f"remove the container: enclos rm {container_id[:12]}"
        ) from error


def save_spec(home: Home, container_id: str, spec: Spec) -> None:
    """Write the spec for the starts to come."""
    path = lookup.directory(home, container_id) / SPEC
    files.write_atomic(path, load.dump_spec(spec, indent=1).encode("utf-8", "surrogateescape"))


def volumes_of(home: Home) -> Path:
    """The directory of all volumes."""
    return home.data_root / "volumes"


def log_of(home: Home, container_id: str) -> Path:
    """The file the container's output is recorded in."""
    return lookup.directory(home, container_id) / LOG
