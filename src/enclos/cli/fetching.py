"""What a container is made from: an image, found or fetched and unpacked, or a directory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from enclos.assets import store as assets
from enclos.cli import lookup
from enclos.cli.home import Home
from enclos.cli.parse import Parsed
from enclos.cli.progress import progress
from enclos.errors import HostUnfit, InvalidRequest, NotFound
from enclos.plan.imageconfig import ImageConfig
from enclos.storage import fetch, garbage, images, layers, merged
from enclos.storage.images import Pull
from enclos.storage.progress import Report
from enclos.storage.rootfs import LayeredRoot, PlainRoot
from enclos.storage.store import Image, ImageStore
from enclos.structs import dataclass


@dataclass(frozen=True, slots=True)
class Ingredients:
    """An image with its configuration, its layers unpacked; or a directory.

    `passwd` and `group` are the texts of its files, empty where there are none.
    """

    config: ImageConfig
    image: Image | None = None
    directory: Path | None = None
    passwd: str = ""
    group: str = ""


def ingredients(home: Home, asked: Parsed) -> Ingredients:
    """What the first operand means; fetches and unpacks what is not there yet."""
    name = asked.operands[0]
    if asked.on("rootfs"):
        return _directory(name)
    store = ImageStore(home.data_root)
    with progress(quiet=asked.on("quiet")) as shown:
        report = Report(shown.line, shown.terminal_fd)
        image = images.resolve(
            store,
            name,
            pull_policy=Pull(asked.text("pull", Pull.MISSING)),
            demo_layout=demo_layout(home),
            report=report,
        )
        found = layers.ensure(store, image, report=report)
    root = LayeredRoot(found, store.images)
    return Ingredients(
        config=fetch.config_of(store, image),
        image=image,
        passwd=merged.read_text(root, "/etc/passwd"),
        group=merged.read_text(root, "/etc/group"),
    )


def _directory(name: str) -> Ingredients:
    path = Path(os.path.abspath(name))
    if not path.exists():
        raise NotFound(f"root file system {path} does not exist", hint="check the path")
    if not path.is_dir() or path == Path("/"):
        raise InvalidRequest(
            f"root file system {path} is not a directory of its own",
            hint="give the directory that holds bin, etc and so on",
        )
    return Ingredients(
        config=ImageConfig(),
        directory=path,
        passwd=merged.read_text(PlainRoot(path), "/etc/passwd"),
        group=merged.read_text(PlainRoot(path), "/etc/group"),
    )


def demo_layout(home: Home) -> Path | None:
    """The image layout that the assets' build made; None if there are no assets.

    Raises `HostUnfit` for assets of another version or damaged ones.
    """
    try:
        return assets.load(home.data_root).demo_image
    except HostUnfit:
        if os.path.lexists(assets.root(home.data_root) / assets.CURRENT):
            raise
        return None


@contextmanager
def collected_if_refused(home: Home) -> Iterator[None]:
    """What was fetched of an image that then turned out to be unusable does not stay.

    Enter it around, not inside, of what holds the store. What a broken connection left stays:
    the next attempt goes on from there.
    """
    try:
        yield
    except InvalidRequest:
        garbage.collect(ImageStore(home.data_root), in_use=in_use(home))
        raise


def in_use(home: Home) -> frozenset[str]:
    """Digests that containers stand on: of manifests, and chain ids of layers."""
    found: set[str] = set()
    for container in lookup.everything(home):
        definition = container.definition
        if definition is not None and definition.image_digest:
            found |= {definition.image_digest, *definition.layers}
    return frozenset(found)
