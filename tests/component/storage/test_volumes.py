from __future__ import annotations

import os
from pathlib import Path

import pytest

from enclos.errors import HostUnfit, InvalidRequest
from enclos.plan.runmounts import MountRequest, Source
from enclos.storage import nodes, volumes


@pytest.fixture
def image(tmp_path: Path) -> int:
    data = tmp_path / "image/data"
    data.mkdir(parents=True)
    os.chown(data, 7, 8)
    os.chmod(data, 0o750)
    (data / "f").write_text("from the image")
    (data / "l").symlink_to("/etc")
    return os.open(tmp_path / "image", nodes.DIRECTORY_FLAGS)


def volume(name: str, target: str = "/data", **values: bool) -> MountRequest:
    return MountRequest(Source.VOLUME, target, name, **values)  # type: ignore[arg-type]


def test_a_new_volume_begins_with_the_images_content(tmp_path: Path, image: int) -> None:
    root = tmp_path / "volumes"
    wanted = [volume("name")]
    for _ in range(2):
        volumes.make(root, wanted)
        volumes.fill(root, wanted, image)
    data = root / "name/_data"
    assert (data / "f").read_text() == "from the image"
    assert os.readlink(data / "l") == "/etc"
    status = data.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (7, 8, 0o750)
    (data / "f").write_text("changed")
    volumes.fill(root, wanted, image)
    assert (data / "f").read_text() == "changed"


@pytest.mark.parametrize("target", ["/none", "/data/f"])
def test_what_the_image_does_not_have(tmp_path: Path, image: int, target: str) -> None:
    wanted = [volume("name", target)]
    volumes.make(tmp_path, wanted)
    volumes.fill(tmp_path, wanted, image)
    assert not any((tmp_path / "name/_data").iterdir())


def test_nocopy(tmp_path: Path, image: int) -> None:
    wanted = [volume("name", copy=False)]
    volumes.make(tmp_path, wanted)
    volumes.fill(tmp_path, wanted, image)
    assert not any((tmp_path / "name/_data").iterdir())


def test_anonymous_volumes_are_marked_and_removed(tmp_path: Path) -> None:
    volumes.make(tmp_path, [volume("mine", anonymous=True), volume("named")])
    assert volumes.is_anonymous(tmp_path, "mine")
    assert not volumes.is_anonymous(tmp_path, "named")
    volumes.remove(tmp_path, ["mine", "gone"])
    assert os.listdir(tmp_path) == ["named"]


def test_a_missing_source_is_named(tmp_path: Path) -> None:
    there = MountRequest(Source.BIND, "/d", str(tmp_path))
    volumes.check_sources([there, volume("name")])
    with pytest.raises(InvalidRequest, match="volume source /no/such does not exist"):
        volumes.check_sources([MountRequest(Source.BIND, "/d", "/no/such")])


def test_a_full_disk(small_disk: Path, tmp_path: Path, image: int) -> None:
    (tmp_path / "image/data/big").write_bytes(bytes(1) * (30 << 20))
    wanted = [volume("name")]
    volumes.make(small_disk, wanted)
    with pytest.raises(HostUnfit, match="No space left on device"):
        volumes.fill(small_disk, wanted, image)
    assert os.listdir(small_disk / "name/_data") == []
    (tmp_path / "image/data/big").write_bytes(b"")
    volumes.fill(small_disk, wanted, image)
    assert (small_disk / "name/_data/f").read_text() == "from the image"
