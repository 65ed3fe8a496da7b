"""Mounts of the real kernel, each in a child's own mount namespace."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from enclos.linux import inroot, libc, mount, mountapi, mountinfo, namespaces
from tests.support.children import inside


def test_a_read_only_bind_is_never_writable(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "target").mkdir()

    def body() -> None:
        mount.bind(tmp_path / "source", tmp_path / "target", readonly=True)
        with pytest.raises(OSError, match="Read-only"):
            (tmp_path / "target" / "file").touch()
        (tmp_path / "source" / "file").touch()
        assert (tmp_path / "target" / "file").exists()

    inside(body)


def test_read_only_reaches_what_is_mounted_below(tmp_path: Path) -> None:
    (tmp_path / "source" / "sub").mkdir(parents=True)
    (tmp_path / "target").mkdir()

    def body() -> None:
        mount.tmpfs(tmp_path / "source" / "sub")
        mount.bind(tmp_path / "source", tmp_path / "target", readonly=True)
        with pytest.raises(OSError, match="Read-only"):
            (tmp_path / "target" / "sub" / "file").touch()
        (tmp_path / "source" / "sub" / "file").touch()

    inside(body)


def test_a_file_is_bound_on_a_file_by_descriptors(tmp_path: Path) -> None:
    (tmp_path / "source").write_text("hello")
    (tmp_path / "target").touch()

    def body() -> None:
        source = os.open(tmp_path / "source", os.O_PATH)
        target = os.open(tmp_path / "target", os.O_PATH)
        mount.bind(source, target)
        assert (tmp_path / "target").read_text() == "hello"

    inside(body)


def test_a_tmpfs_has_its_size_and_mode(tmp_path: Path) -> None:
    def body() -> None:
        mount.tmpfs(tmp_path, mode=0o711, size_bytes=1 << 20, inodes=16, name="mine")
        (entry,) = mountinfo.below(tmp_path)
        assert (entry.fstype, entry.source) == ("tmpfs", "mine")
        assert {"nodev", "nosuid"} <= entry.options
        assert tmp_path.stat().st_mode & 0o777 == 0o711
        with pytest.raises(OSError, match="No space left"):
            (tmp_path / "big").write_bytes(bytes(2 << 20))

    inside(body)


def test_unmounting_twice_is_done(tmp_path: Path) -> None:
    def body() -> None:
        mount.tmpfs(tmp_path)
        assert mountinfo.is_mount_point(tmp_path)
        assert mount.unmount(tmp_path)
        assert not mount.unmount(tmp_path)
        assert not mount.unmount(tmp_path / "gone")
        assert not mountinfo.is_mount_point(tmp_path)

    inside(body)


def test_everything_below_is_unmounted_last_first(tmp_path: Path) -> None:
    def body() -> None:
        mount.tmpfs(tmp_path)
        for name in ("a", "a/b", "c"):
            (tmp_path / name).mkdir()
            mount.tmpfs(tmp_path / name)
        mount.tmpfs(tmp_path / "c")
        assert mount.unmount_below(tmp_path / "a") == 2
        assert mount.unmount_below(tmp_path) == 3
        assert mount.unmount_below(tmp_path) == 0

    inside(body)


def test_unmounting_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")

    def body() -> None:
        mount.tmpfs(tmp_path / "real")
        assert not mount.unmount(tmp_path / "link")
        assert mountinfo.is_mount_point(tmp_path / "real")

    inside(body)


def test_a_busy_mount_is_detached_only_if_asked(tmp_path: Path) -> None:
    def body() -> None:
        mount.tmpfs(tmp_path)
        held = os.open(tmp_path, os.O_RDONLY)
        with pytest.raises(OSError, match="umount2") as caught:
            mount.unmount(tmp_path)
        assert caught.value.errno == errno.EBUSY
        assert mount.unmount(tmp_path, detach=True)
        os.close(held)

    inside(body)


def test_a_slave_receives_and_a_private_mount_does_not(tmp_path: Path) -> None:
    for name in ("shared", "slave", "private"):
        (tmp_path / name).mkdir()

    def body() -> None:
        mount.tmpfs(tmp_path / "shared")
        mount.make_shared(tmp_path / "shared")
        (tmp_path / "shared" / "sub").mkdir()
        for name, change in (("slave", mount.make_slave), ("private", mount.make_private)):
            mount.bind(tmp_path / "shared", tmp_path / name)
            change(tmp_path / name)
        mount.tmpfs(tmp_path / "shared" / "sub")
        assert mountinfo.is_mount_point(tmp_path / "slave" / "sub")
        assert not mountinfo.is_mount_point(tmp_path / "private" / "sub")

    inside(body)


def test_a_detached_tree_is_attached_in_another_namespace(tmp_path: Path) -> None:
    """As `create` hands its sources to the supervisor."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "file").write_text("hello")
    (tmp_path / "target").mkdir()
    with mount.cloned(tmp_path / "source", recursive=True) as tree:

        def body() -> None:
            mount.attach(tree, tmp_path / "target")
            assert (tmp_path / "target" / "file").read_text() == "hello"

        inside(body)
    assert not (tmp_path / "target" / "file").exists()


def test_a_refusal_names_call_and_path(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"mount: No such file.*/gone"):
        libc.mount("none", str(tmp_path / "gone"), "tmpfs", 0, "")
    with pytest.raises(FileNotFoundError, match=r"open_tree: No such file.*/gone"):
        mount.open_tree_clone(tmp_path / "gone", recursive=True)


def test_a_bad_option_is_refused_in_the_kernels_words(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"fsconfig: Invalid argument.*size"):
        mount.new(tmp_path, "tmpfs", {"size": "many"})


def test_entering_a_root_leaves_the_old_one(tmp_path: Path) -> None:
    def body() -> None:
        mount.tmpfs(tmp_path)
        (tmp_path / "here").touch()
        namespaces.enter_root(tmp_path)
        assert os.listdir("/") == ["here"]
        assert os.getcwd() == "/"

    inside(body)


def test_attributes_can_be_cleared_again(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()

    def body() -> None:
        mount.tmpfs(tmp_path)
        with mount.cloned(tmp_path, recursive=False) as tree:
            mount.set_attributes(tree, mountapi.MOUNT_ATTR_RDONLY | mountapi.MOUNT_ATTR_NOATIME)
            mount.set_attributes(tree, 0, clear=mountapi.MOUNT_ATTR_RDONLY)
            (tmp_path / "target").mkdir()
            mount.attach(tree, tmp_path / "target")
        entry = mountinfo.below(tmp_path / "target")[0]
        assert {"rw", "noatime"} <= entry.options

    inside(body)


def test_a_root_held_by_descriptor_takes_mounts(tmp_path: Path) -> None:
    def body() -> None:
        root = inroot.open_root(tmp_path)
        target = inroot.ensure_target(root, "/a/b", directory=True)
        mount.tmpfs(target)
        assert mountinfo.is_mount_point(tmp_path / "a" / "b")

    inside(body)
