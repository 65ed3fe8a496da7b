"""An image manifest as values: which configuration, which layers. PURE.

Also the two other small JSON files of an OCI layout that this room reads: its index and a
list of manifests for several platforms.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Final

from enclos.errors import InvalidRequest
from enclos.plan.jsonshape import as_list, as_object, as_size, as_text
from enclos.structs import dataclass

MAX_JSON_BYTES: Final = 4 << 20
"""The limit that registries and containers/image put on a manifest."""
_MAX_LAYERS: Final = 500
_REF_NAME: Final = "org.opencontainers.image.ref.name"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob by digest, with the size its manifest claims."""

    digest: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one image consists of, lowest layer first."""

    config: Blob
    layers: tuple[Blob, ...]


def parse_manifest(data: bytes, *, image: str) -> Manifest:
    """The manifest in `data`; raises `InvalidRequest` naming `image` if it is none."""
    raw = _object(data, image)
    layers = as_list(raw.get("layers"))
    if layers is None or len(layers) > _MAX_LAYERS:
        raise broken(image, f"the manifest has no list of at most {_MAX_LAYERS} layers")
    return Manifest(_blob(raw.get("config"), image), tuple(_blob(item, image) for item in layers))


def layout_digest(data: bytes, tag: str, *, image: str) -> str:
    """The digest that a layout's index gives `tag`, or its only image if `tag` is empty.

    An empty string stands for "not to be told from the index alone".
    """
    entries = _entries(_object(data, image))
    if tag:
        entries = [item for item in entries if _annotation(item, _REF_NAME) == tag]
    if len(entries) != 1:
        return ""
    digest = as_text(entries[0].get("digest")) or ""
    return digest if _DIGEST.fullmatch(digest) else ""


def architectures(data: bytes, *, image: str) -> tuple[str, ...]:
    """The architectures in a list of manifests, in order; empty for a single manifest."""
    platforms = [as_object(item.get("platform")) for item in _entries(_object(data, image))]
    names = [as_text((platform or {}).get("architecture")) for platform in platforms]
    return tuple(dict.fromkeys(name for name in names if name and name != "unknown"))


def digest_of(data: bytes) -> str:
    """The digest under which `data` is stored."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def chain_ids(diff_ids: Sequence[str]) -> tuple[str, ...]:
    """The chain ids of the OCI image specification: each names a layer and all below it."""
    chain: list[str] = []
    for diff_id in diff_ids:
        chain.append(digest_of(f"{chain[-1]} {diff_id}".encode()) if chain else diff_id)
    return tuple(chain)


def check_digest(value: object, *, image: str) -> str:
    """`value` if it is a sha256 digest; raises `InvalidRequest` otherwise."""
    if not isinstance(value, str) or not _DIGEST.fullmatch(value):
        raise broken(image, f"{str(value)[:80]!r} is no sha256 digest")
    return value


def broken(image: str, reason: str) -> InvalidRequest:
    """The error for an image whose parts do not fit together."""
    return InvalidRequest(
        f"image {image} is broken: {reason}",
        hint="pull it again, or build it anew",
    )


def _object(data: bytes, image: str) -> dict[str, object]:
    if len(data) > MAX_JSON_BYTES:
        raise broken(image, f"a manifest of {len(data)} bytes")
    try:
        raw = as_object(json.loads(data))
    except (ValueError, RecursionError) as error:
        raise broken(image, f"a manifest that is not JSON: {error}") from error
    if raw is None:
        raise broken(image, "a manifest that is not an object")
    return raw


def _blob(value: object, image: str) -> Blob:
    raw = as_object(value)
    if raw is None:
        raise broken(image, "the manifest lacks a descriptor")
    size = as_size(raw.get("size"))
    if size is None:
        raise broken(image, "a descriptor without size")
    return Blob(check_digest(raw.get("digest"), image=image), size)


def _entries(raw: dict[str, object]) -> list[dict[str, object]]:
    items = as_list(raw.get("manifests")) or []
    return [entry for item in items if (entry := as_object(item)) is not None]


def _annotation(item: dict[str, object], key: str) -> object:
    return (as_object(item.get("annotations")) or {}).get(key)
