"""Root file systems mounted for real, in mount namespaces of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from enclos.errors import HostUnfit, InvalidRequest, NotFound
from enclos.storage import changes, images, layers, merged, rootfs, transfer
from enclos.storage.changes import Change, Kind
from enclos.storage.progress import SILENT
from enclos.storage.rootfs import LayeredRoot, PlainRoot
from enclos.storage.store import ImageStore
from tests.support import imagelayouts
from tests.support.apart import apart
from tests.support.imagelayouts import archive, directory, member, symlink

BASE = archive(
    directory(".", mode=0o711),
    directory("etc"),
    ("etc/old", b"old"),
    ("etc/kept", b"kept"),
    directory("gone", mode=0o750),
    ("gone/file", b""),
    directory("replaced"),
    ("replaced/a", b"a"),
    ("replaced/b", b"b"),
    (member("suid", mode=0o4755), b"#!"),
    symlink("link", "etc/kept"),
    ("file-then-dir", b""),
)
TOP = archive(
    ("etc/.wh.old", b""),
    (".wh.gone", b""),
    directory("replaced"),
    ("replaced/.wh..wh..opq", b""),
    ("replaced/c", b"c"),
    directory("file-then-dir"),
    ("file-then-dir/x", b"x"),
)


@pytest.fixture
def root(tmp_path: Path) -> LayeredRoot:
    store = ImageStore(tmp_path / "data")
    layout = imagelayouts.write(tmp_path / "layout", [BASE, TOP])
    image = images.resolve(store, f"oci:{layout}:latest")
    return LayeredRoot(layers.ensure(store, image, report=SILENT), tmp_path / "home")


def test_layers_are_merged(root: LayeredRoot) -> None:
    def check() -> None:
        place = rootfs.mount(root)
        assert sorted(os.listdir(place)) == ["etc", "file-then-dir", "link", "replaced", "suid"]
        assert os.listdir(place / "etc") == ["kept"]
        assert os.listdir(place / "replaced") == ["c"]
        assert (place / "file-then-dir/x").read_bytes() == b"x"
        assert os.stat(place).st_mode & 0o7777 == 0o711
        assert os.stat(place / "suid").st_mode & 0o7777 == 0o4755
        (place / "etc/new").write_text("new")

    apart(check)
    assert (root.upper / "etc/new").read_text() == "new"
    assert not any(root.merged.iterdir())

    def again() -> None:
        assert (rootfs.mount(root) / "etc/new").read_text() == "new"

    apart(again)


def test_changes_are_what_the_container_did(root: LayeredRoot) -> None:
    script = """
    cd "$1"
    echo changed > etc/kept; mkdir -p new/dir; touch new/dir/f; rm suid
    rm -r replaced; mkdir replaced; touch replaced/d
    rm -r file-then-dir; touch file-then-dir
    chmod 700 etc; mkdir proc; touch etc/hosts; ln -sf elsewhere link
    """

    def work() -> None:
        subprocess.run(["sh", "-ec", script, "sh", rootfs.mount(root)], check=True)

    assert changes.changes(root) == ()
    apart(work)
    expected = [
        Change(Kind.CHANGED, "/etc"),
        Change(Kind.CHANGED, "/etc/kept"),
        Change(Kind.CHANGED, "/file-then-dir"),
        Change(Kind.CHANGED, "/link"),
        Change(Kind.ADDED, "/new"),
        Change(Kind.ADDED, "/new/dir"),
        Change(Kind.ADDED, "/new/dir/f"),
        Change(Kind.CHANGED, "/replaced"),
        Change(Kind.DELETED, "/replaced/c"),
        Change(Kind.ADDED, "/replaced/d"),
        Change(Kind.DELETED, "/suid"),
    ]
    assert list(changes.changes(root, ignored={"/proc", "/etc/hosts"})) == expected
    assert Change(Kind.ADDED, "/proc") in changes.changes(root)


def test_nothing_done_is_nothing_changed(root: LayeredRoot) -> None:
    apart(lambda: os.listdir(rootfs.mount(root) / "etc"))
    assert changes.changes(root) == ()


def test_changes_do_not_follow_links_of_the_guest(root: LayeredRoot, tmp_path: Path) -> None:
    rootfs.prepare(root)
    (root.upper / "l").symlink_to("/etc")
    (root.upper / "etc").symlink_to(tmp_path)
    found = {change.path: change.kind for change in changes.changes(root)}
    assert found == {"/l": Kind.ADDED, "/etc": Kind.CHANGED}


def test_a_stopped_container_is_copied_from(root: LayeredRoot, tmp_path: Path) -> None:
    def work() -> None:
        with rootfs.opened(root) as fd:
            transfer.copy_out(fd, "/etc/kept", str(tmp_path / "out"))
            transfer.copy_in(fd, str(tmp_path / "out"), "/etc/in")
        assert not os.path.ismount(root.merged)

    apart(work)
    assert (tmp_path / "out").read_bytes() == b"kept"
    assert (root.upper / "etc/in").read_bytes() == b"kept"
    assert not os.path.ismount(root.merged)


def test_volatile_roots(root: LayeredRoot) -> None:
    apart(lambda: (rootfs.mount(root, volatile=True) / "x").write_text("x"))
    assert (root.upper / "x").exists()
    apart(lambda: (rootfs.mount(root, volatile=True) / "y").write_text("y"))
    apart(lambda: (rootfs.mount(root) / "z").write_text("z"))
    assert sorted(os.listdir(root.upper))[-3:] == ["x", "y", "z"]


def test_a_volatile_root_does_not_survive_the_host(root: LayeredRoot) -> None:
    apart(lambda: (rootfs.mount(root, volatile=True) / "x").write_text("x"))
    (root.home / "volatile").write_text("another boot")

    def mount() -> None:
        with pytest.raises(HostUnfit, match="the host went down"):
            rootfs.mount(root)

    apart(mount)
    rootfs.remove(root)
    assert not any(root.home.iterdir())


def test_an_image_without_layers(tmp_path: Path) -> None:
    root = LayeredRoot((), tmp_path / "home")
    apart(lambda: (rootfs.mount(root) / "x").write_text("x"))
    assert changes.changes(root) == (Change(Kind.ADDED, "/x"),)


def test_many_layers(tmp_path: Path) -> None:
    """More than fit into one page of options by their names."""
    store = ImageStore(tmp_path / "data")
    every = [archive((f"f{number}", b"")) for number in range(100)]
    layout = imagelayouts.write(tmp_path / "l", every, compression="none")
    image = images.resolve(store, f"oci:{layout}:latest")
    root = LayeredRoot(layers.ensure(store, image, report=SILENT), tmp_path / "home")

    def check() -> None:
        assert len(os.listdir(rootfs.mount(root))) == 100

    apart(check)


def test_a_plain_root_is_taken_as_it_is(tmp_path: Path) -> None:
    root = PlainRoot(tmp_path / "dir")
    with pytest.raises(NotFound, match="does not exist"):
        rootfs.prepare(root)
    (tmp_path / "dir").mkdir()
    assert rootfs.mount(root) == tmp_path / "dir"
    rootfs.remove(root)
    assert (tmp_path / "dir").is_dir()
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidRequest, match="is not a directory"):
        rootfs.prepare(PlainRoot(tmp_path / "file"))


def test_removal_and_a_missing_layer(root: LayeredRoot) -> None:
    rootfs.prepare(root)
    rootfs.remove(root)
    assert not any(root.home.iterdir())
    shutil.rmtree(root.layers[0].parent)
    with pytest.raises(NotFound, match="is gone"):
        rootfs.prepare(root)


def test_files_are_read_without_mounting(root: LayeredRoot) -> None:
    assert merged.read_text(root, "/etc/kept") == "kept"
    assert merged.read_text(root, "link") == "kept"
    assert merged.read_text(root, "/etc/../link") == "kept"
    for gone in ("/etc/old", "/gone/file", "/replaced/a", "/etc", "/etc/kept/x", "/none/x", "/"):
        assert merged.read_text(root, gone) == ""
    rootfs.prepare(root)
    (root.upper / "etc").mkdir()
    (root.upper / "etc/kept").write_text("mine")
    (root.upper / "out").symlink_to("/../../../../../../etc/hostname")
    (root.upper / "a").symlink_to("b")
    (root.upper / "b").symlink_to("a")
    assert merged.read_text(root, "/link") == "mine"
    assert merged.read_text(root, "/out") == merged.read_text(root, "/a") == ""


def test_files_of_a_plain_root(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("root")
    (tmp_path / "out").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "fifo")
    plain = PlainRoot(tmp_path)
    assert merged.read_text(plain, "/etc/passwd") == merged.read_text(plain, "/out") == "root"
    assert merged.read_text(plain, "/fifo") == merged.read_text(plain, "/none") == ""
