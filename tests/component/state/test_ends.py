"""State on real file systems that refuse: full, read-only, mounted over."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from enclos.errors import Unclean
from enclos.linux import mount
from enclos.state import definitions, records, store
from enclos.state.definitions import Definition
from enclos.state.records import ContainerRecord
from enclos.state.store import StateRoot
from tests.support.children import inside


def test_a_full_file_system_keeps_the_old_record(tmp_path: Path) -> None:
    def body() -> None:
        mount.tmpfs(tmp_path, size_bytes=64 << 10)
        root = StateRoot(tmp_path)
        store.reserve(root, "c1")
        old = ContainerRecord("c1", "", "/b", "/r", records.now(), status="created")
        records.save_container(root, old)
        big = ContainerRecord("c1", "", "/b", "/r" * 50_000, records.now())
        with pytest.raises(OSError, match="No space left"):
            records.save_container(root, big)
        assert records.load_container(root, "c1") == old
        assert sorted(os.listdir(root.container("c1"))) == ["creator", "oci-state", "record.json"]

    inside(body)


def test_a_full_file_system_takes_no_name(tmp_path: Path) -> None:
    def body() -> None:
        mount.tmpfs(tmp_path, size_bytes=64 << 10)
        made = Definition("a1", "web", "2026", "image", ("x" * 100_000,))
        with pytest.raises(OSError, match="No space left"):
            definitions.add(tmp_path, made)
        assert definitions.ids(tmp_path) == []
        assert os.listdir(tmp_path / "names") == []

    inside(body)


def test_what_is_mounted_in_a_container_is_not_deleted(tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume" / "precious").touch()

    def body() -> None:
        root = StateRoot(tmp_path / "root")
        directory = store.reserve(root, "c1")
        store.make_directory(directory / "rootfs")
        mount.bind(tmp_path / "volume", directory / "rootfs")
        with pytest.raises(Unclean, match="cannot remove"):
            store.remove(directory)
        assert (tmp_path / "volume" / "precious").exists()
        (condemned,) = (tmp_path / "root" / "containers").iterdir()
        mount.unmount(condemned / "rootfs")
        assert store.purge_condemned(root) == [condemned]

    inside(body)
    assert (tmp_path / "volume" / "precious").exists()
