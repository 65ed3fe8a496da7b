"""Images pulled by the real skopeo from a registry of our own."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from enclos.errors import HostUnfit, InvalidRequest, NotFound
from enclos.storage import images, layers
from enclos.storage.images import Pull
from enclos.storage.progress import SILENT
from enclos.storage.store import ImageStore
from tests.support import imagelayouts
from tests.support.imagelayouts import archive
from tests.support.registry import Registry, serving

SMALL, BIG = archive(("small", b"small")), archive(("big", os.urandom(3 << 20)))


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    layout = imagelayouts.write(tmp_path / "layout", [SMALL, BIG])
    imagelayouts.write(layout, [SMALL], tag="arm64", architecture="arm64")
    imagelayouts.write_list(layout, "both", "latest", "arm64")
    imagelayouts.write_list(layout, "foreign", "arm64")
    with serving(layout, tmp_path / "home") as (found, environment):
        for key, value in environment.items():
            monkeypatch.setenv(key, value)
        yield found


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "data")


def test_pull_by_tag_by_list_and_by_digest(registry: Registry, store: ImageStore) -> None:
    image = images.resolve(store, registry.name("latest"), architecture="amd64")
    assert len(layers.ensure(store, image, report=SILENT)) == 2
    both = images.resolve(store, registry.name("both"), architecture="amd64")
    assert both.digest == image.digest
    by_digest = f"127.0.0.1:{registry.port}/some/image@{image.digest}"
    assert images.resolve(store, by_digest, architecture="amd64").digest == image.digest
    assert images.resolve(store, by_digest, pull_policy=Pull.NEVER).name == by_digest


def test_what_is_there_is_not_fetched_again(registry: Registry, store: ImageStore) -> None:
    image = images.resolve(store, registry.name("latest"), architecture="amd64")
    assert {layer.digest for layer in image.layers} <= set(registry.blobs_asked())
    registry.requests.clear()
    assert images.resolve(store, registry.name("latest")) == image
    assert not registry.requests
    again = images.resolve(
        store, registry.name("latest"), pull_policy=Pull.ALWAYS, architecture="amd64"
    )
    assert again == image
    assert not {layer.digest for layer in image.layers} & set(registry.blobs_asked())


def test_a_moved_tag_is_seen_by_pull_only(registry: Registry, store: ImageStore) -> None:
    first = images.resolve(store, registry.name("latest"), architecture="amd64")
    imagelayouts.write(registry.layout, [SMALL])
    assert images.resolve(store, registry.name("latest")) == first
    second = images.pull(store, registry.name("latest"), architecture="amd64")
    assert second.digest != first.digest


def test_unknown_and_foreign_images(registry: Registry, store: ImageStore) -> None:
    with pytest.raises(NotFound, match="no such image"):
        images.resolve(store, registry.name("nope"))
    with pytest.raises(InvalidRequest, match=r"is for arm64, this host runs amd64$"):
        images.resolve(store, registry.name("foreign"), architecture="amd64")
    with pytest.raises(InvalidRequest, match=r"is for arm64, this host runs amd64$"):
        images.resolve(store, registry.name("arm64"), architecture="amd64")
    assert not images.list_images(store)


def test_a_password(registry: Registry, store: ImageStore, tmp_path: Path) -> None:
    registry.password = "secret"
    with pytest.raises(NotFound, match="cannot pull") as caught:
        images.resolve(store, registry.name("latest"))
    assert f"skopeo login 127.0.0.1:{registry.port}" in caught.value.hint
    auth = {"auths": {f"127.0.0.1:{registry.port}": {"auth": "dXNlcjpzZWNyZXQ="}}}
    (tmp_path / "home/auth.json").write_text(json.dumps(auth))
    images.resolve(store, registry.name("latest"), architecture="amd64")


def test_an_interrupted_pull_leaves_blobs_that_are_used(
    registry: Registry, store: ImageStore
) -> None:
    registry.cut_blobs = True
    with pytest.raises(HostUnfit, match="broke off") as caught:
        images.resolve(store, registry.name("latest"), architecture="amd64")
    assert "\n" not in caught.value.message
    assert not list(store.scratch_root.iterdir())
    assert not images.list_images(store)
    registry.cut_blobs = False
    image = images.resolve(store, registry.name("latest"), architecture="amd64")
    assert len(layers.ensure(store, image, report=SILENT)) == 2


def test_a_registry_that_is_not_there(store: ImageStore) -> None:
    with pytest.raises(HostUnfit) as caught:
        images.resolve(store, "127.0.0.1:1/some/image")
    assert "network" in caught.value.hint
