"""Images that cannot be used: damaged, of another machine, or too large for the disk."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import imagelayouts
from tests.support.cli import Programs
from tests.support.complaints import complains

LAYER = imagelayouts.archive(imagelayouts.directory("etc"), ("etc/name", os.urandom(16)))
"""No other run has stored it."""


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    """An image of one small layer."""
    return imagelayouts.write(tmp_path / "layout", [LAYER])


def blob_with(layout: Path, word: bytes) -> Path:
    """The first blob that contains `word`."""
    found = (path for path in (layout / "blobs/sha256").iterdir() if word in path.read_bytes())
    return next(found)


def stored(programs: Programs) -> set[str]:
    """What the image store holds, locks apart."""
    places = [programs.data_root / "images", programs.data_root / "layers"]
    found = (path for place in places for path in place.rglob("*"))
    return {
        os.fspath(path) for path in found if path.suffix != ".lock" and "locks" not in path.parts
    }


def test_a_layer_that_is_not_what_its_digest_says(programs: Programs, layout: Path) -> None:
    before = stored(programs)
    manifest = json.loads(blob_with(layout, b'"layers": [').read_bytes())
    layer = layout / "blobs" / manifest["layers"][0]["digest"].replace(":", "/")
    layer.write_bytes(imagelayouts.pack(imagelayouts.archive(("etc/other", b"value"))))
    complains(programs.enclos("run", "-q", "--rm", f"oci:{layout}:latest", "true"), "did not match")
    assert stored(programs) == before


def test_a_layer_whose_content_is_not_the_one_of_its_configuration(
    programs: Programs, tmp_path: Path
) -> None:
    before = stored(programs)
    wrong = [imagelayouts.digest(b"something else")]
    layout = imagelayouts.write(tmp_path / "layout", [LAYER], diff_ids=wrong)
    complains(
        programs.enclos("run", "-q", "--rm", f"oci:{layout}:latest", "true"), "digest mismatch"
    )
    left = stored(programs) - before
    assert all("/images/blobs/" in path for path in left), "only the image itself may stay"
    programs.ok("rmi", f"oci:{layout}:latest")


def test_an_image_for_another_architecture_is_named_as_such(
    programs: Programs, tmp_path: Path
) -> None:
    layout = imagelayouts.write(tmp_path / "layout", [LAYER], architecture="riscv64")
    before = stored(programs)
    complains(programs.enclos("run", "-q", "--rm", f"oci:{layout}:latest", "true"), "riscv64")
    complains(programs.enclos("pull", "-q", f"oci:{layout}:latest"), "riscv64")
    assert stored(programs) == before


@pytest.mark.parametrize("transport", ["oci-archive", "docker-archive"])
def test_an_archive_that_ends_too_early(
    programs: Programs, layout: Path, tmp_path: Path, transport: str
) -> None:
    whole, cut = tmp_path / "whole.tar", tmp_path / "cut.tar"
    target = f"{transport}:{whole}:name:latest"
    source = f"oci:{layout}:latest"
    subprocess.run(
        ["skopeo", "copy", "-q", "--insecure-policy", source, target], check=True, timeout=60
    )
    data = whole.read_bytes()
    cut.write_bytes(data[: len(data) // 3])
    before = stored(programs)
    complains(programs.enclos("run", "-q", "--rm", f"{transport}:{cut}", "true"), str(cut))
    assert stored(programs) == before


@pytest.fixture
def small_disk(programs: Programs, tmp_path: Path) -> Iterator[Programs]:
    """A data root on a file system of 24 MiB, with the assets of the usual one."""
    image, place = tmp_path / "image", tmp_path / "small"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(24 << 20)
    subprocess.run(["mkfs.ext4", "-q", image], check=True, timeout=60)
    subprocess.run(["mount", "-o", "loop", image, place], check=True, timeout=60)
    try:
        (place / "assets").symlink_to(programs.data_root / "assets")
        shutil.copy(programs.data_root / "facts.json", place / "facts.json")
        yield Programs(programs.state_root, place)
    finally:
        subprocess.run(["umount", place], check=True, timeout=60)


def test_a_disk_that_fills_up_while_an_image_is_unpacked(
    small_disk: Programs, tmp_path: Path
) -> None:
    zeros = imagelayouts.archive(("data", bytes(60 << 20)))
    layout = imagelayouts.write(tmp_path / "big", [LAYER, zeros])
    answer = small_disk.enclos("run", "-q", "--rm", f"oci:{layout}:latest", "true")
    complains(answer, "No space left on device")
    left = stored(small_disk)
    assert not [path for path in left if path.startswith(f"{small_disk.data_root}/images/tmp/")]
    assert not [path for path in left if path.endswith("/data")]
    assert shutil.disk_usage(small_disk.data_root).used < 4 << 20


def test_a_disk_that_fills_up_while_an_image_is_fetched(
    small_disk: Programs, tmp_path: Path
) -> None:
    noise = imagelayouts.archive(("data", os.urandom(60 << 20)))
    layout = imagelayouts.write(tmp_path / "big", [noise], compression="none")
    answer = small_disk.enclos("run", "-q", "--rm", f"oci:{layout}:latest", "true")
    complains(answer, "no space left on device")
    assert shutil.disk_usage(small_disk.data_root).used < 4 << 20
