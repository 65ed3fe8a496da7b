"""The image layout's writer: digests agree, and the same members give the same bytes."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

from enclos.assets import ocilayout

MEMBERS = (
    ocilayout.Member("tmp", 0o1777, tarfile.DIRTYPE),
    ocilayout.Member("bin/sh", 0o777, tarfile.SYMTYPE, target="/bin/busybox"),
    ocilayout.Member("bin/busybox", 0o755, data=b"program"),
)


def blob(directory: Path, descriptor: dict[str, Any]) -> bytes:
    digest = str(descriptor["digest"])
    data = (directory / "blobs" / digest.replace(":", "/")).read_bytes()
    assert digest == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert descriptor["size"] == len(data)
    return data


def test_every_digest_leads_to_its_blob(tmp_path: Path) -> None:
    ocilayout.write(tmp_path / "i", tag="latest", members=MEMBERS, config={"Cmd": ["sh"]})
    index = json.loads((tmp_path / "i/index.json").read_bytes())
    (entry,) = index["manifests"]
    assert entry["annotations"]["org.opencontainers.image.ref.name"] == "latest"
    manifest = json.loads(blob(tmp_path / "i", entry))
    config = json.loads(blob(tmp_path / "i", manifest["config"]))
    layer = gzip.decompress(blob(tmp_path / "i", manifest["layers"][0]))
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    assert config["config"] == {"Cmd": ["sh"]}


def test_the_layer_holds_the_members_owned_by_root(tmp_path: Path) -> None:
    ocilayout.write(tmp_path / "i", tag="t", members=MEMBERS, config={})
    manifest = json.loads(blob(tmp_path / "i", index_entry(tmp_path / "i")))
    layer = gzip.decompress(blob(tmp_path / "i", manifest["layers"][0]))
    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        found = {one.name: one for one in archive}
    assert list(found) == ["bin/busybox", "bin/sh", "tmp"]
    assert found["tmp"].mode == 0o1777
    assert found["bin/sh"].linkname == "/bin/busybox"
    assert {(one.uid, one.gid, one.mtime) for one in found.values()} == {(0, 0, 0)}


def test_same_members_same_bytes(tmp_path: Path) -> None:
    for name, members in (("a", MEMBERS), ("b", MEMBERS[::-1])):
        ocilayout.write(tmp_path / name, tag="t", members=members, config={})
    assert (tmp_path / "a/index.json").read_bytes() == (tmp_path / "b/index.json").read_bytes()


def index_entry(directory: Path) -> dict[str, Any]:
    (entry,) = json.loads((directory / "index.json").read_bytes())["manifests"]
    assert isinstance(entry, dict)
    return entry
