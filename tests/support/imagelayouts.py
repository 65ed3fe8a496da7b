"""OCI layouts made by hand, so that a test can put anything into them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

MEDIA = "application/vnd.oci.image"


def member(name: str, kind: bytes = tarfile.REGTYPE, **values: Any) -> tarfile.TarInfo:
    """A member for `archive`; keyword arguments are attributes of `TarInfo`."""
    info = tarfile.TarInfo(name)
    info.type = kind
    info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    info.mtime = 1_000_000_000
    for key, value in values.items():
        setattr(info, key, value)
    return info


def directory(name: str, **values: Any) -> tarfile.TarInfo:
    """A directory."""
    return member(name, tarfile.DIRTYPE, **values)


def symlink(name: str, target: str) -> tarfile.TarInfo:
    """A symbolic link."""
    return member(name, tarfile.SYMTYPE, linkname=target, mode=0o777)


def archive(
    *members: tarfile.TarInfo | tuple[tarfile.TarInfo | str, bytes],
    form: int = tarfile.PAX_FORMAT,
) -> bytes:
    """A tar archive; a file is a pair of its member, or name, and its content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for item in members:
            info, data = item if isinstance(item, tuple) else (item, b"")
            info = member(info) if isinstance(info, str) else info
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def digest(data: bytes) -> str:
    """The sha256 digest as images spell it."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def pack(layer: bytes, compression: str = "gzip") -> bytes:
    """A layer compressed by gzip, zstd or none."""
    if compression == "gzip":
        return gzip.compress(layer, 1, mtime=0)
    if compression == "zstd":
        return subprocess.run(["zstd", "-qc"], input=layer, capture_output=True, check=True).stdout
    return layer


def put(layout: Path, data: bytes, media: str) -> dict[str, Any]:
    """Store a blob; its descriptor."""
    path = layout / "blobs" / digest(data).replace(":", "/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return {"mediaType": media, "digest": digest(data), "size": len(data)}


def write(
    layout: Path,
    layers: Sequence[bytes],
    *,
    tag: str = "latest",
    compression: str = "gzip",
    architecture: str = "amd64",
    os: str = "linux",
    config: Mapping[str, Any] | None = None,
    diff_ids: Sequence[str] | None = None,
) -> Path:
    """Make or extend the layout with one image; the layout again."""
    image = {
        "created": "2024-05-06T07:08:09Z",
        "architecture": architecture,
        "os": os,
        "config": dict(config or {}),
        "history": [{"created": "2024-05-06T07:08:09Z", "created_by": "tests"} for _ in layers],
        "rootfs": {"type": "layers", "diff_ids": diff_ids or [digest(layer) for layer in layers]},
    }
    suffix = {"none": "", "gzip": "+gzip", "zstd": "+zstd"}[compression]
    packed = [pack(layer, compression) for layer in layers]
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{MEDIA}.manifest.v1+json",
        "config": put(layout, json.dumps(image).encode(), f"{MEDIA}.config.v1+json"),
        "layers": [put(layout, data, f"{MEDIA}.layer.v1.tar{suffix}") for data in packed],
    }
    entry = put(layout, json.dumps(manifest).encode(), f"{MEDIA}.manifest.v1+json")
    entry["platform"] = {"architecture": architecture, "os": os}
    _enter(layout, entry, tag)
    return layout


def write_list(layout: Path, tag: str, *tags: str) -> None:
    """Tag a list of the manifests that `tags` stand for, one for each platform."""
    index = json.loads((layout / "index.json").read_text())
    found = {item["annotations"][f"{_REF}"]: item for item in index["manifests"]}
    media = f"{MEDIA}.index.v1+json"
    entries = [{k: v for k, v in found[t].items() if k != "annotations"} for t in tags]
    inner = {"schemaVersion": 2, "mediaType": media, "manifests": entries}
    entry = put(layout, json.dumps(inner).encode(), media)
    _enter(layout, entry, tag)


_REF = "org.opencontainers.image.ref.name"


def _enter(layout: Path, entry: dict[str, Any], tag: str) -> None:
    path = layout / "index.json"
    index = json.loads(path.read_text()) if path.exists() else {"manifests": []}
    kept = [item for item in index["manifests"] if item["annotations"][_REF] != tag]
    manifests = [*kept, {**entry, "annotations": {_REF: tag}}]
    path.write_text(json.dumps({"schemaVersion": 2, "manifests": manifests}))
    (layout / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))
