"""Images fetched by the real skopeo from layouts and archives made here."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from enclos.errors import EnclosError, HostUnfit, InvalidRequest, NotFound, WrongState
from enclos.storage import fetch, garbage, images, layers
from enclos.storage.architecture import host_architecture
from enclos.storage.images import Pull
from enclos.storage.progress import SILENT, Report
from enclos.storage.store import ImageStore, hold
from tests.support import imagelayouts
from tests.support.imagelayouts import archive, directory

BASE = archive(directory("etc"), ("etc/base", b"base"))
TOP = archive(("etc/top", b"top"), ("etc/.wh.base", b""))
OTHER = archive(("etc/other", b"other"))


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "data")


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    return imagelayouts.write(tmp_path / "layout", [BASE, TOP], config={"Cmd": ["sh"]})


def files(root: Path) -> set[str]:
    """Everything in the store that is not a lock."""
    found = (path for path in root.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {os.fspath(path.relative_to(root)) for path in found}


def test_a_layout_is_fetched_found_and_listed(store: ImageStore, layout: Path) -> None:
    lines: list[str] = []
    image = images.resolve(store, f"oci:{layout}:latest", report=Report(lines.append))
    assert any("Copying" in line for line in lines)
    assert images.find(store, f"oci:{layout}:latest") == image
    assert images.find(store, image.config_digest.removeprefix("sha256:")[:12]) == image
    assert images.find(store, image.digest) == image
    assert fetch.config_of(store, image).cmd == ("sh",)
    (row,) = images.list_images(store)
    assert (row.repository, row.tag) == (f"oci:{layout}", "latest")
    assert (row.image_id, row.digest) == (image.config_digest, image.digest)
    assert row.created == "2024-05-06T07:08:09Z"
    assert not list(store.scratch_root.iterdir())


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
def test_layers_are_unpacked_top_first(store: ImageStore, tmp_path: Path, compression: str) -> None:
    layout = imagelayouts.write(tmp_path / "l", [BASE, TOP], compression=compression)
    image = images.resolve(store, f"oci:{layout}:latest")
    top, base = layers.ensure(store, image, report=SILENT)
    assert (base / "etc/base").read_bytes() == b"base"
    assert (top / "etc/top").read_bytes() == b"top"
    assert os.lstat(top / "etc/base").st_rdev == 0
    assert layers.unpacked_bytes(store, image) == 7
    assert (store.layers.stat().st_mode & 0o777) == 0o700


def test_a_second_look_is_quick_and_fetches_nothing(
    store: ImageStore, layout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = images.resolve(store, f"oci:{layout}:latest")
    monkeypatch.setattr("enclos.tools.skopeo.copy", lambda *_: pytest.fail("skopeo was run"))
    assert images.resolve(store, f"oci:{layout}:latest") == first


def test_a_changed_layout_is_noticed(store: ImageStore, layout: Path) -> None:
    first = images.resolve(store, f"oci:{layout}:latest")
    imagelayouts.write(layout, [BASE, OTHER])
    second = images.resolve(store, f"oci:{layout}:latest")
    assert first.digest != second.digest
    assert first.layers[0] == second.layers[0]
    assert images.resolve(store, f"oci:{layout}:latest", pull_policy=Pull.NEVER) == second


def test_blobs_are_shared(store: ImageStore, layout: Path) -> None:
    imagelayouts.write(layout, [BASE, OTHER], tag="second")
    first = images.resolve(store, f"oci:{layout}:latest")
    second = images.resolve(store, f"oci:{layout}:second")
    count = len(list((store.blobs / "sha256").iterdir()))
    assert count == len({first.digest, second.digest}) * 2 + 3
    layers.ensure(store, first, report=SILENT)
    layers.ensure(store, second, report=SILENT)
    assert len([path for path in store.layers.iterdir() if not path.suffix]) == 3


@pytest.mark.parametrize("transport", ["oci-archive", "docker-archive"])
def test_archives(store: ImageStore, layout: Path, tmp_path: Path, transport: str) -> None:
    target = f"{transport}:{tmp_path}/image.tar" + (":x:1" if transport == "docker-archive" else "")
    subprocess.run(["skopeo", "copy", "-q", f"oci:{layout}:latest", target], check=True)
    image = images.resolve(store, f"{transport}:{tmp_path}/image.tar")
    top, _ = layers.ensure(store, image, report=SILENT)
    assert (top / "etc/top").read_bytes() == b"top"
    assert images.resolve(store, f"{transport}:{tmp_path}/image.tar") == image


def test_a_directory(store: ImageStore, layout: Path, tmp_path: Path) -> None:
    subprocess.run(["skopeo", "copy", "-q", f"oci:{layout}", f"dir:{tmp_path}/d"], check=True)
    image = images.resolve(store, f"dir:{tmp_path}/d")
    assert len(layers.ensure(store, image, report=SILENT)) == 2


def test_the_demo_comes_from_the_assets(store: ImageStore, layout: Path) -> None:
    with pytest.raises(HostUnfit) as missing:
        images.resolve(store, "enclos/demo", demo_layout=layout / "none")
    assert "assets build" in missing.value.hint
    image = images.resolve(store, "enclos/demo", demo_layout=layout)
    assert image.name == "enclos/demo:latest"
    with pytest.raises(NotFound):
        images.resolve(store, "enclos/demo:1", demo_layout=layout)
    imagelayouts.write(layout, [OTHER])
    assert images.resolve(store, "enclos/demo", demo_layout=layout).digest != image.digest


def test_umoci_layers(store: ImageStore, tmp_path: Path) -> None:
    layout, bundle = tmp_path / "l", tmp_path / "bundle"
    for argv in (
        ["init", "--layout", str(layout)],
        ["new", "--image", f"{layout}:t"],
        ["unpack", "--image", f"{layout}:t", str(bundle)],
    ):
        subprocess.run(["umoci", *argv], check=True, capture_output=True)
    subprocess.run(["cp", "-a", "/etc/alternatives", bundle / "rootfs/a"], check=True)
    (bundle / "rootfs/sparse").write_bytes(b"")
    os.truncate(bundle / "rootfs/sparse", 1 << 20)
    argv = ["umoci", "repack", "--image", f"{layout}:t", str(bundle)]
    subprocess.run(argv, check=True, capture_output=True)
    image = images.resolve(store, f"oci:{layout}:t")
    (top,) = layers.ensure(store, image, report=SILENT)
    expected = {path.name: os.readlink(path) for path in Path("/etc/alternatives").iterdir()
                if path.is_symlink()}  # fmt: skip
    found = {path.name: os.readlink(path) for path in (top / "a").iterdir() if path.is_symlink()}
    assert found == expected
    assert (top / "sparse").stat().st_size == 1 << 20


def test_unknown_images(store: ImageStore, layout: Path, tmp_path: Path) -> None:
    for text in (
        f"oci:{layout}:nope",
        f"oci:{tmp_path}/none:latest",
        f"oci-archive:{tmp_path}/none",
        f"docker-archive:{tmp_path}/none",
        f"dir:{tmp_path}/none",
    ):
        with pytest.raises(NotFound, match="no such image") as caught:
            images.resolve(store, text)
        assert caught.value.hint
    for text in ("never-pulled", "deadbeef", "sha256:deadbeef"):
        with pytest.raises((NotFound, InvalidRequest)):
            images.resolve(store, text, pull_policy=Pull.NEVER)
        with pytest.raises((NotFound, InvalidRequest)):
            images.find(store, text)
    assert not files(store.data_root)


def test_a_broken_archive(store: ImageStore, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"no archive" * 1000)
    for transport in ("oci-archive", "docker-archive"):
        with pytest.raises(InvalidRequest, match="is broken") as caught:
            images.resolve(store, f"{transport}:{tmp_path}/f")
        assert "\n" not in caught.value.message
    assert not files(store.data_root)


@pytest.mark.parametrize("which", ["layer", "config", "manifest"])
@pytest.mark.parametrize("how", ["changed", "missing"])
def test_a_damaged_blob_is_named(store: ImageStore, layout: Path, which: str, how: str) -> None:
    image = images.resolve(ImageStore(layout.parent / "aside"), f"oci:{layout}:latest")
    digest = {"layer": image.layers[1].digest, "config": image.config_digest}
    blob = layout / "blobs" / digest.get(which, image.digest).replace(":", "/")
    if how == "changed":
        blob.write_bytes(blob.read_bytes() + b" ")
    else:
        blob.unlink()
    with pytest.raises(InvalidRequest, match=digest.get(which, image.digest)):
        images.resolve(store, f"oci:{layout}:latest")
    assert not list(store.scratch_root.iterdir())
    assert not images.list_images(store)


def test_a_layer_that_is_not_what_its_configuration_says(store: ImageStore, tmp_path: Path) -> None:
    wrong = imagelayouts.digest(b"something else")
    layout = imagelayouts.write(tmp_path / "l", [BASE], diff_ids=[wrong])
    image = images.resolve(store, f"oci:{layout}:latest")
    with pytest.raises(InvalidRequest, match=f"digest mismatch: .*{image.layers[0].digest}"):
        layers.ensure(store, image, report=SILENT)
    assert not [path for path in store.layers.iterdir() if path.suffix != ".lock"]


def test_a_blob_that_rots_in_the_store_is_fetched_again(store: ImageStore, layout: Path) -> None:
    image = images.resolve(store, f"oci:{layout}:latest")
    store.blob(image.layers[0].digest).write_bytes(b"rotten")
    with pytest.raises(InvalidRequest, match="digest mismatch"):
        layers.ensure(store, image, report=SILENT)
    assert images.pull(store, f"oci:{layout}:latest") == image
    assert len(layers.ensure(store, image, report=SILENT)) == 2


def test_another_architecture_is_named(store: ImageStore, tmp_path: Path) -> None:
    layout = imagelayouts.write(tmp_path / "l", [BASE], architecture="arm64", tag="arm64")
    imagelayouts.write(layout, [BASE], architecture="s390x", tag="s390x")
    imagelayouts.write_list(layout, "list", "arm64", "s390x")
    with pytest.raises(InvalidRequest, match=r"is for arm64, this host runs amd64$"):
        images.resolve(store, f"oci:{layout}:arm64", architecture="amd64")
    with pytest.raises(InvalidRequest, match=r"is for arm64, s390x, this host runs amd64$"):
        images.resolve(store, f"oci:{layout}:list", architecture="amd64")
    image = images.resolve(store, f"oci:{layout}:list", architecture="arm64")
    assert image.architecture == "arm64"
    assert host_architecture() in {"amd64", "arm64"}


def test_another_system_is_named(store: ImageStore, tmp_path: Path) -> None:
    layout = imagelayouts.write(tmp_path / "l", [BASE], os="windows")
    with pytest.raises(InvalidRequest, match="is for windows"):
        images.resolve(store, f"oci:{layout}:latest")


def test_removal_takes_what_nobody_uses(store: ImageStore, layout: Path) -> None:
    imagelayouts.write(layout, [BASE, OTHER], tag="second")
    first = images.resolve(store, f"oci:{layout}:latest")
    second = images.resolve(store, f"oci:{layout}:second")
    for image in (first, second):
        layers.ensure(store, image, report=SILENT)
    removal = images.remove(store, first.name)
    assert removal == images.Removal((first.name,), (first.digest,))
    assert not store.layer(first.chain[1]).exists()
    assert store.layer(second.chain[0]).exists()
    assert not store.blob(first.digest).exists()
    layers.ensure(store, second, report=SILENT)
    images.remove(store, second.config_digest[7:20])
    assert files(store.data_root) == {"images/index.json"}
    with pytest.raises(NotFound):
        images.remove(store, second.name)


def test_what_a_container_uses_stays(store: ImageStore, layout: Path) -> None:
    image = images.resolve(store, f"oci:{layout}:latest")
    layers.ensure(store, image, report=SILENT)
    used = frozenset({image.digest, *image.chain})
    with pytest.raises(WrongState, match="used by a container"):
        images.remove(store, image.name, in_use=used)
    images.remove(store, image.name, in_use=used, force=True)
    assert all(store.layer(chain_id).is_dir() for chain_id in image.chain)
    garbage.collect(store, in_use=frozenset())
    assert not any(store.layer(chain_id).exists() for chain_id in image.chain)


def test_an_id_with_several_names(store: ImageStore, layout: Path) -> None:
    imagelayouts.write(layout, [BASE, TOP], tag="second", config={"Cmd": ["sh"]})
    image = images.resolve(store, f"oci:{layout}:latest")
    images.resolve(store, f"oci:{layout}:second")
    with pytest.raises(WrongState, match="2 names"):
        images.remove(store, image.config_digest)
    assert len(images.remove(store, image.config_digest, force=True).untagged) == 2


def test_garbage_stays_while_somebody_holds(store: ImageStore, layout: Path) -> None:
    image = images.resolve(store, f"oci:{layout}:latest")
    with hold(store):
        images.remove(store, image.name)
        assert store.blob(image.digest).exists()
    assert garbage.collect(store, in_use=frozenset())
    assert not store.blob(image.digest).exists()


def test_leftovers_of_a_crash_are_collected(store: ImageStore, layout: Path) -> None:
    image = images.resolve(store, f"oci:{layout}:latest")
    leftover = store.scratch_root / "gone"
    leftover.mkdir()
    partial = store.layer(image.chain[0]).with_suffix(".tmp")
    (partial / "diff/etc/base").mkdir(parents=True)
    layers.ensure(store, image, report=SILENT)
    assert not partial.exists()
    garbage.collect(store, in_use=frozenset())
    assert not leftover.exists()


def test_two_at_once_unpack_once(store: ImageStore, tmp_path: Path) -> None:
    big = archive(*((f"d/{number}", b"x" * 1000) for number in range(2000)))
    layout = imagelayouts.write(tmp_path / "l", [big])
    tags = ["latest", "again"]
    imagelayouts.write(layout, [big], tag="again")
    lines: list[str] = []
    failures: list[EnclosError] = []

    def one(tag: str) -> None:
        try:
            image = images.pull(store, f"oci:{layout}:{tag}")
            found = layers.ensure(store, image, report=SILENT)
            lines.append(str(os.stat(found[0]).st_ino))
        except EnclosError as error:
            failures.append(error)

    threads = [threading.Thread(target=one, args=[tag]) for tag in tags * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(set(lines)) == 1


def test_implied_directories_look_like_those_below(store: ImageStore, tmp_path: Path) -> None:
    base = archive(directory("private", mode=0o700, uid=5), directory("private/in", mode=0o711))
    layout = imagelayouts.write(tmp_path / "l", [base, archive(("private/in/f", b"1"))])
    image = images.resolve(store, f"oci:{layout}:latest")
    top, _ = layers.ensure(store, image, report=SILENT)
    found = (top / "private").stat()
    assert (found.st_mode & 0o777, found.st_uid) == (0o700, 5)
    assert (top / "private/in").stat().st_mode & 0o777 == 0o711


def test_a_full_disk_leaves_nothing(small_disk: Path, tmp_path: Path) -> None:
    """Fetching 6 MB into 8 MB works; unpacking them does not."""
    store = ImageStore(small_disk)
    noise = os.urandom(5 << 20)
    layout = imagelayouts.write(tmp_path / "l", [BASE, archive(("noise", noise))])
    image = images.resolve(store, f"oci:{layout}:latest")
    with pytest.raises(HostUnfit, match="No space left on device") as caught:
        layers.ensure(store, image, report=SILENT)
    assert caught.value.hint
    assert "\n" not in caught.value.message
    left = [path for path in store.layers.iterdir() if path.suffix != ".lock"]
    assert left == [store.layer(image.chain[0])]


def test_a_full_disk_while_fetching(small_disk: Path, tmp_path: Path) -> None:
    store = ImageStore(small_disk)
    layout = imagelayouts.write(tmp_path / "l", [archive(("noise", os.urandom(12 << 20)))])
    with pytest.raises(HostUnfit, match=r"(?i)no space left on device"):
        images.resolve(store, f"oci:{layout}:latest")
    assert not list(store.scratch_root.iterdir())
    assert shutil.disk_usage(small_disk).free > 6 << 20
