"""The assets' directory without a build: none, foreign ones, pruning, a full disk."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from enclos.assets import build, store, switch
from enclos.errors import HostUnfit
from enclos.wire import codec


def quiet(_line: str) -> None:
    """A reporter that tells nobody."""


def manifest(key: str, part: str = "p", number: int = store.FORMAT) -> store.Manifest:
    return store.Manifest(number, key, part, "v", (), "6.1", "10", {})


def put_in_force(place: Path, one: store.Manifest) -> None:
    (place / one.key).mkdir(parents=True)
    store.part_directory(place, one.part).mkdir(parents=True, exist_ok=True)
    with switch.scratch(place) as working:
        switch.activate(place, one, working)
    moment = 1_000_000_000 + len(list(place.iterdir()))
    os.utime(place / one.key, (moment, moment))


def test_none(tmp_path: Path) -> None:
    with pytest.raises(HostUnfit, match="there are no assets") as caught:
        build.ensure(tmp_path, allow_build=False, report=quiet)
    assert caught.value.hint == "run: enclos assets build"


def test_another_format(tmp_path: Path) -> None:
    put_in_force(tmp_path / "assets", manifest("a", number=store.FORMAT + 1))
    with pytest.raises(HostUnfit, match="this version needs"):
        store.load(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', "\xff"])
def test_a_manifest_that_is_none(tmp_path: Path, text: str) -> None:
    put_in_force(tmp_path / "assets", manifest("a"))
    (tmp_path / "assets/a/manifest.json").write_text(text, encoding="latin-1")
    with pytest.raises(HostUnfit, match="another version or damaged"):
        store.load(tmp_path)


def test_the_newest_and_the_one_in_force_stay(tmp_path: Path) -> None:
    for key in "abcd":
        put_in_force(tmp_path / "assets", manifest(key, part=f"part-{key}"))
    switch.prune(tmp_path / "assets", keep=2)
    assert {path.name for path in (tmp_path / "assets").iterdir()} == {"c", "d", "current", "parts"}
    assert {path.name for path in (tmp_path / "assets/parts").iterdir()} == {"part-c", "part-d"}


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A tool root that a jail would have as its root."""
    tool_root = tmp_path / "assets/parts/part-a/tool-root"
    tool_root.mkdir(parents=True)
    target = tmp_path / "jail"
    target.mkdir()
    subprocess.run(["mount", "--bind", tool_root, target], check=True)
    try:
        yield tool_root
    finally:
        subprocess.run(["umount", target], check=True)


def test_a_part_in_use_stays(tmp_path: Path, mounted: Path) -> None:
    for key in "abcd":
        put_in_force(tmp_path / "assets", manifest(key, part=f"part-{key}"))
    switch.prune(tmp_path / "assets", keep=2)
    assert mounted.is_dir()
    assert not (tmp_path / "assets/parts/part-b").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    directory = tmp_path / "small"
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", directory], check=True)
    try:
        yield directory
    finally:
        subprocess.run(["umount", directory], check=True)


def test_a_full_disk_is_refused_before_the_download(small_disk: Path) -> None:
    with pytest.raises(HostUnfit, match="MB free"):
        build.build(small_disk, report=quiet)
    assert [path.name for path in (small_disk / "assets").iterdir()] == ["lock"]


def test_a_data_root_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HostUnfit, match="cannot build the assets"):
        build.build(tmp_path / "file", report=quiet)


def test_a_manifest_survives_its_codec() -> None:
    one = manifest("a")
    assert codec.decode(store.Manifest, codec.encode(one)) == one
