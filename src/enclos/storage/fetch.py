"""One image brought into the store by skopeo and checked: all of it, or nothing but blobs.

Knows nothing of names that are already there; `images` decides when to fetch.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

from enclos.errors import EnclosError, HostUnfit, InvalidRequest, NotFound
from enclos.plan.imageconfig import ImageConfig, parse_config
from enclos.storage import manifest
from enclos.storage.blobs import check_blob, read_json_blob
from enclos.storage.disk import disk_errors
from enclos.storage.progress import Report
from enclos.storage.references import Reference, Transport
from enclos.storage.store import (
    Image,
    ImageStore,
    Layer,
    change_index,
    hold,
    one_by_name,
    scratch,
    with_image,
)
from enclos.tools import skopeo

_MANIFEST_TRIES: Final = 100
_MANIFEST_PAUSE_S: Final = 0.01


def fetch(
    store: ImageStore, reference: Reference, *, source: str, architecture: str, report: Report
) -> Image:
    """Bring `reference` in from skopeo's `source` and give it its name.

    Raises `NotFound` for an unknown image, `InvalidRequest` for a damaged one or one for
    another platform, `HostUnfit` for a full disk, a failing network or a missing skopeo.
    """
    attempt = f"cannot fetch image {reference.name}"
    with hold(store), disk_errors(attempt), one_by_name(store, reference.name):
        stamp = stamp_of(source)
        _check_layout(source, stamp, reference.name)
        with scratch(store) as work:
            failed = skopeo.copy(
                source,
                work / "layout",
                blobs=store.blobs,
                architecture=architecture,
                scratch=work,
                line=report.line,
                terminal_fd=report.terminal_fd,
            )
            if failed is not None:
                raise _error(failed, reference, source=source, architecture=architecture)
            index = (work / "layout/index.json").read_bytes()
        image = _described(store, reference.name, index=index, stamp=stamp)
        _check_platform(store, image, architecture)
        change_index(store, lambda found: with_image(found, image))
    return image


def config_of(store: ImageStore, image: Image) -> ImageConfig:
    """The configuration of a stored image."""
    path = store.blob(image.config_digest)
    data = read_json_blob(path, image.config_digest, image=image.name, discard=True)
    return parse_config(data, image=image.name)


def stamp_of(source: str) -> str:
    """What tells whether the layout or archive behind a source changed; empty if nothing does."""
    transport, _, rest = source.partition(":")
    path, _, tag = rest.partition(":")
    try:
        if transport == Transport.LAYOUT:
            data = Path(path, "index.json").read_bytes()
            return manifest.layout_digest(data, tag, image=source)
        if transport in {Transport.OCI_ARCHIVE, Transport.DOCKER_ARCHIVE}:
            found = os.stat(path)
            return f"{found.st_dev}:{found.st_ino}:{found.st_size}:{found.st_mtime_ns}"
    except (FileNotFoundError, NotADirectoryError):
        return ""  # skopeo says it better
    return ""


def _check_layout(source: str, stamp: str, name: str) -> None:
    """skopeo takes a layout's manifest as it is; its digest is checked here."""
    transport, _, rest = source.partition(":")
    if transport == Transport.LAYOUT and stamp:
        path = Path(rest.partition(":")[0], "blobs", stamp.replace(":", "/"))
        check_blob(path, stamp, image=name)


def _described(store: ImageStore, name: str, *, index: bytes, stamp: str) -> Image:
    digest = manifest.layout_digest(index, "", image=name)
    data = _wait_manifest(store.blob(digest), digest, image=name)
    parts = manifest.parse_manifest(data, image=name)
    config_digest = parts.config.digest
    raw = read_json_blob(store.blob(config_digest), config_digest, image=name, discard=True)
    config = parse_config(raw, image=name)
    if len(config.diff_ids) != len(parts.layers):
        raise manifest.broken(
            name, f"{len(parts.layers)} layers, but digests of {len(config.diff_ids)}"
        )
    layers = tuple(
        Layer(blob.digest, blob.size_bytes, manifest.check_digest(diff_id, image=name))
        for blob, diff_id in zip(parts.layers, config.diff_ids, strict=True)
    )
    return Image(name, digest, config_digest, config.architecture, config.created, stamp, layers)


def _wait_manifest(path: Path, digest: str, *, image: str) -> bytes:
    """The manifest, which skopeo, unlike other blobs, writes in place: another one that
    fetches the same image under another name may be at it."""
    for _ in range(_MANIFEST_TRIES):
        try:
            return read_json_blob(path, digest, image=image)
        except InvalidRequest:
            time.sleep(_MANIFEST_PAUSE_S)
    return read_json_blob(path, digest, image=image)


def _check_platform(store: ImageStore, image: Image, architecture: str) -> None:
    config = config_of(store, image)
    if config.os != "linux":
        raise InvalidRequest(
            f"image {image.name} is for {config.os}, containers here run linux",
            hint="choose an image for linux",
        )
    if config.architecture not in {"", architecture}:
        raise _wrong_platform(image.name, config.architecture, architecture)


def _wrong_platform(name: str, found: str, architecture: str) -> InvalidRequest:
    return InvalidRequest(
        f"image {name} is for {found}, this host runs {architecture}",
        hint=f"choose an image for linux/{architecture}",
    )


def _error(
    failed: skopeo.Failure, reference: Reference, *, source: str, architecture: str
) -> EnclosError:
    name = reference.name
    match failed.cause:
        case skopeo.Cause.UNKNOWN:
            return NotFound(f"no such image: {name}: {failed.message}", hint=_unknown(reference))
        case skopeo.Cause.DENIED:
            registry = reference.location.partition("/")[0]
            return NotFound(
                f"cannot pull {name}: it does not exist, or access is denied: {failed.message}",
                hint=f"check the name, or run: skopeo login {registry}",
            )
        case skopeo.Cause.PLATFORM:
            return _wrong_platform(name, _offered(source, name), architecture)
        case skopeo.Cause.DAMAGED if _broke_off(failed, reference):
            hint = "run it again: what was fetched is kept"
            return HostUnfit(f"fetching image {name} broke off: {failed.message}", hint=hint)
        case skopeo.Cause.DAMAGED:
            return manifest.broken(name, failed.message)
        case skopeo.Cause.DISK:
            hint = "free space on the file system of the data root, or move it"
            return HostUnfit(f"cannot fetch image {name}: {failed.message}", hint=hint)
        case skopeo.Cause.POLICY:
            hint = "check /etc/containers/policy.json (Debian: golang-github-containers-common)"
            return HostUnfit(f"cannot fetch image {name}: {failed.message}", hint=hint)
        case _:
            hint = "check the registry's name, the network and the proxy settings"
            return HostUnfit(f"cannot fetch image {name}: {failed.message}", hint=hint)


def _broke_off(failed: skopeo.Failure, reference: Reference) -> bool:
    return reference.transport is Transport.REGISTRY and "unexpected EOF" in failed.message


def _unknown(reference: Reference) -> str:
    if reference.transport is Transport.REGISTRY:
        return "check the name and the tag; local images are listed by: enclos images"
    return "check the path and the tag"


def _offered(source: str, name: str) -> str:
    """The architectures that a list of manifests offers, for an error's sake."""
    raw = skopeo.inspect_raw(source)
    offered = manifest.architectures(raw, image=name) if raw else ()
    return ", ".join(offered) or "other architectures"
