"""Images by name: found, resolved, listed, removed. The doors that the front ends use.

Fetching is in `fetch`, unpacking in `layers`, the collection of what nobody uses in `garbage`.
"""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Final

from enclos.errors import HostUnfit, InvalidRequest, NotFound, WrongState
from enclos.storage import fetch, garbage, layers
from enclos.storage.architecture import host_architecture
from enclos.storage.progress import SILENT, Report
from enclos.storage.references import (
    DEFAULT_TAG,
    Reference,
    Transport,
    parse,
    split_name,
)
from enclos.storage.store import Image, ImageStore, change_index, read_index, without_name
from enclos.structs import dataclass

_ID = re.compile(r"(?:sha256:)?([0-9a-f]{4,64})")
_ALWAYS_LOOK: Final = frozenset(
    {Transport.CONTAINERS_STORAGE, Transport.DOCKER_DAEMON, Transport.DIRECTORY}
)


class Pull(StrEnum):
    """When an image is fetched although, or only if, it is not in the store: docker's --pull."""

    MISSING = "missing"
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a listing; `image_id` is docker's: the digest of the configuration."""

    name: str
    repository: str
    tag: str
    digest: str
    image_id: str
    created: str
    size_bytes: int
    architecture: str


@dataclass(frozen=True, slots=True)
class Removal:
    """What a removal did: names taken away, and digests of manifests of which nothing is left."""

    untagged: tuple[str, ...]
    deleted: tuple[str, ...]


def resolve(
    store: ImageStore,
    text: str,
    *,
    pull_policy: Pull = Pull.MISSING,
    demo_layout: Path | None = None,
    architecture: str | None = None,
    report: Report = SILENT,
) -> Image:
    """The image that a user means by `text`, fetched if the policy asks for it.

    `text` is a reference or the beginning of an id. Layouts and archives are fetched again
    when they have changed. Raises `NotFound`, `InvalidRequest` or `HostUnfit` as `pull` does.
    """
    if (image := _by_id(store, text)) is not None and pull_policy is not Pull.ALWAYS:
        return image
    reference = parse(text)
    stored = read_index(store).images.get(reference.name)
    if pull_policy is Pull.NEVER and stored is None:
        raise _unknown(text)
    fresh = stored is not None and (
        pull_policy is Pull.NEVER or not _stale(reference, stored, demo_layout)
    )
    if stored is not None and fresh and pull_policy is not Pull.ALWAYS:
        return stored
    return pull(store, text, demo_layout=demo_layout, architecture=architecture, report=report)


def pull(
    store: ImageStore,
    text: str,
    *,
    demo_layout: Path | None = None,
    architecture: str | None = None,
    report: Report = SILENT,
) -> Image:
    """Fetch the image that `text` refers to, whether or not it is in the store.

    What is there already is not fetched again. An interrupted pull leaves nothing but blobs,
    which the next one uses. Raises `NotFound` for an unknown image, `InvalidRequest` for a bad
    reference, a damaged image or another architecture, `HostUnfit` for disk and network.
    """
    reference = parse(text)
    return fetch.fetch(
        store,
        reference,
        source=_source(reference, demo_layout),
        architecture=architecture or host_architecture(),
        report=report,
    )


def find(store: ImageStore, text: str) -> Image:
    """The stored image with this reference or beginning of an id; raises `NotFound`."""
    image = read_index(store).images.get(parse(text).name) if not _is_id(text) else None
    image = image or _by_id(store, text)
    if image is None:
        raise _unknown(text)
    return image


def list_images(store: ImageStore) -> tuple[Row, ...]:
    """All images of the store, newest first."""
    found = sorted(read_index(store).images.values(), key=lambda image: image.name)
    return tuple(_row(store, image) for image in sorted(found, key=_created, reverse=True))


def remove(
    store: ImageStore, text: str, *, in_use: frozenset[str] = frozenset(), force: bool = False
) -> Removal:
    """Take a name away, or with an id all its names, and collect what nobody uses any more.

    `in_use` holds digests that containers stand on: of manifests, and chain ids of layers,
    which stay. Raises `NotFound`; `WrongState` if a container uses the image, or an id has
    several names, and `force` is not given.
    """
    image = find(store, text)
    names = _names_meant(store, image, text)
    if not force and len(names) > 1:
        raise WrongState(
            f"image {text} has {len(names)} names: {', '.join(names)}",
            hint="remove them one by one, or use --force",
        )
    if not force and image.digest in in_use:
        raise WrongState(
            f"image {text} is used by a container",
            hint="remove the container first, or use --force",
        )
    index = change_index(store, lambda found: without_name(found, names))
    left = {kept.digest for kept in index.images.values()}
    garbage.collect(store, in_use=in_use)
    return Removal(names, () if image.digest in left else (image.digest,))


def _row(store: ImageStore, image: Image) -> Row:
    repository, tag = split_name(image.name)
    return Row(
        name=image.name,
        repository=repository,
        tag=tag,
        digest=image.digest,
        image_id=image.config_digest,
        created=image.created,
        size_bytes=layers.unpacked_bytes(store, image),
        architecture=image.architecture,
    )


def _created(image: Image) -> str:
    return image.created


def _source(reference: Reference, demo_layout: Path | None) -> str:
    if reference.transport is not Transport.DEMO:
        return reference.source
    if reference.tag != DEFAULT_TAG:
        raise NotFound(
            f"no such image: {reference.name}",
            hint=f"{reference.location} has the tag {DEFAULT_TAG} only",
        )
    if demo_layout is None or not demo_layout.is_dir():
        raise HostUnfit(
            f"image {reference.name} has not been built yet",
            hint="run: enclos assets build",
        )
    return f"{Transport.LAYOUT}:{demo_layout}:{DEFAULT_TAG}"


def _stale(reference: Reference, stored: Image, demo_layout: Path | None) -> bool:
    """Whether what lies on this host may have changed since it was fetched."""
    if reference.transport is Transport.REGISTRY:
        return False
    if reference.transport in _ALWAYS_LOOK:
        return True
    stamp = fetch.stamp_of(_source(reference, demo_layout))
    return not stamp or stamp != stored.stamp


def _is_id(text: str) -> bool:
    return text.startswith("sha256:") and _ID.fullmatch(text) is not None


def _by_id(store: ImageStore, text: str) -> Image | None:
    """The image whose id or digest begins with `text`, unless a name says otherwise."""
    match = _ID.fullmatch(text)
    if match is None:
        return None
    images = read_index(store).images
    if not _is_id(text) and parse_or_none(text) in images:
        return None
    wanted = f"sha256:{match[1]}"
    found = {
        image.digest: image
        for image in images.values()
        if image.config_digest.startswith(wanted) or image.digest.startswith(wanted)
    }
    if len(found) > 1:
        raise InvalidRequest(f"image id {text} is ambiguous", hint="write more of its digits")
    return next(iter(found.values()), None)


def parse_or_none(text: str) -> str | None:
    """The store's name for `text`, or `None` where it is no reference."""
    try:
        return parse(text).name
    except InvalidRequest:
        return None


def _names_meant(store: ImageStore, image: Image, text: str) -> tuple[str, ...]:
    if not _is_id(text) and parse_or_none(text) == image.name:
        return (image.name,)
    images = read_index(store).images.values()
    return tuple(sorted(other.name for other in images if other.digest == image.digest))


def _unknown(text: str) -> NotFound:
    return NotFound(
        f"no such image: {text}",
        hint="pull it first (enclos pull), or list local images (enclos images)",
    )
