"""Writes an image layout with one layer, as the OCI image specification has it.

Deterministic: the archive's members are sorted, owned by root and dated zero.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from enclos.structs import dataclass

_MEDIA: Final = "application/vnd.oci.image"
_EPOCH: Final = "1970-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a layer: a directory, a file with `data`, or a link to `target`."""

    name: str
    mode: int
    kind: bytes = tarfile.REGTYPE
    data: bytes = b""
    target: str = ""


def write(directory: Path, *, tag: str, members: Iterable[Member], config: dict[str, Any]) -> None:
    """Make the layout in the new `directory`; `config` is the image's, as in `docker inspect`."""
    (directory / "blobs/sha256").mkdir(parents=True)
    layer = _tar(members)
    image = {
        "created": _EPOCH,
        "architecture": "amd64",
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        "history": [{"created": _EPOCH, "created_by": "enclos assets build"}],
    }
    packed = gzip.compress(layer, compresslevel=6, mtime=0)
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{_MEDIA}.manifest.v1+json",
        "config": _blob(directory, f"{_MEDIA}.config.v1+json", _json(image)),
        "layers": [_blob(directory, f"{_MEDIA}.layer.v1.tar+gzip", packed)],
    }
    entry = _blob(directory, f"{_MEDIA}.manifest.v1+json", _json(manifest))
    entry["annotations"] = {"org.opencontainers.image.ref.name": tag}
    entry["platform"] = {"architecture": "amd64", "os": "linux"}
    index = {
        "schemaVersion": 2,
        "mediaType": f"{_MEDIA}.index.v1+json",
        "manifests": [entry],
    }
    (directory / "index.json").write_bytes(_json(index))
    (directory / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))


def _tar(members: Iterable[Member]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for member in sorted(members, key=lambda one: one.name):
            info = tarfile.TarInfo(member.name)
            info.mode, info.type, info.linkname = member.mode, member.kind, member.target
            info.size = len(member.data)
            archive.addfile(info, io.BytesIO(member.data))
    return buffer.getvalue()


def _blob(directory: Path, media_type: str, data: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(data).hexdigest()
    (directory / "blobs/sha256" / digest).write_bytes(data)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
