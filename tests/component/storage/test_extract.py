"""Archives unpacked for real, hostile ones included: nothing outside the root is touched."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import stat
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from enclos.errors import InvalidRequest
from enclos.storage import nodes
from enclos.storage.extract import OPAQUE, Rules, extract
from enclos.storage.tarstream import TarReader
from tests.support.imagelayouts import archive, directory, member, symlink

CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")
LAYER = Rules(overlay=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "root"
    path.mkdir()
    return path


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A directory beside the root that must look the same at the end."""
    path = tmp_path / "outside"
    path.mkdir()
    (path / "secret").write_text("secret")
    before = (path / "secret").stat()
    yield path
    after = (path / "secret").stat()
    assert os.listdir(path) == ["secret"]
    assert (path / "secret").read_text() == "secret"
    assert (before.st_mode, before.st_nlink) == (after.st_mode, after.st_nlink)
    assert sorted(os.listdir(tmp := path.parent)) == ["outside", "root"], tmp


def unpack(root: Path, data: bytes, *, rules: Rules = LAYER) -> int:
    fd = os.open(root, nodes.DIRECTORY_FLAGS)
    try:
        reader = TarReader(io.BytesIO(data), name="layer X")
        return extract(reader, fd, name="layer X", rules=rules)
    finally:
        os.close(fd)


def test_every_kind_with_its_attributes(root: Path) -> None:
    caps = member("d/f", mode=0o4751, uid=1000, gid=50, mtime=1_500_000_000)
    caps.pax_headers = {
        "SCHILY.xattr.security.capability": CAPABILITY.decode("utf-8", "surrogateescape"),
        "SCHILY.xattr.user.note": "x",
    }
    unpack(
        root,
        archive(
            directory("d", mode=0o1777, uid=7, gid=8),
            (caps, b"hello"),
            symlink("d/l", "/nowhere"),
            member("d/h", tarfile.LNKTYPE, linkname="d/f"),
            member("d/c", tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666),
            member("d/b", tarfile.BLKTYPE, devmajor=7, devminor=200, mode=0o660),
            member("d/p", tarfile.FIFOTYPE, mode=0o622),
        ),
    )
    d, f, c = (os.lstat(root / name) for name in ("d", "d/f", "d/c"))
    assert (stat.S_IMODE(d.st_mode), d.st_uid, d.st_gid) == (0o1777, 7, 8)
    assert d.st_mtime == 1_000_000_000
    assert (stat.S_IMODE(f.st_mode), f.st_uid, f.st_gid, f.st_nlink) == (0o4751, 1000, 50, 2)
    assert f.st_mtime == 1_500_000_000
    assert os.getxattr(root / "d/f", "security.capability") == CAPABILITY
    assert os.getxattr(root / "d/f", "user.note") == b"x"
    assert os.readlink(root / "d/l") == "/nowhere"
    assert (stat.S_ISCHR(c.st_mode), c.st_rdev) == (True, os.makedev(1, 3))
    assert stat.S_IMODE(c.st_mode) == 0o666
    assert stat.S_IMODE(os.lstat(root / "d/p").st_mode) == 0o622
    assert os.lstat(root / "d/b").st_rdev == os.makedev(7, 200)


@pytest.mark.parametrize(
    "form",
    [
        ("--format=gnu",),
        ("--format=oldgnu",),
        ("--format=posix", "--sparse-version=0.0"),
        ("--format=posix", "--sparse-version=0.1"),
        ("--format=posix", "--sparse-version=1.0"),
    ],
    ids=" ".join,
)
def test_sparse_files_of_gnu_tar(root: Path, tmp_path: Path, form: tuple[str, ...]) -> None:
    source = tmp_path / "source"
    source.mkdir()
    with (source / "f").open("wb") as file:
        for at in range(0, 60 << 20, 1 << 20):
            file.seek(at)
            file.write(f"data at {at}".encode())
        file.truncate((60 << 20) + 12345)
    argv = ["tar", "-C", str(source), "-S", *form, "-cf", "-", "f"]
    data = subprocess.run(argv, capture_output=True, check=True).stdout
    assert unpack(root, data) == (60 << 20) + 12345
    assert (root / "f").read_bytes() == (source / "f").read_bytes()
    assert (root / "f").stat().st_blocks * 512 < 2 << 20


def test_whiteouts_become_overlays(root: Path) -> None:
    unpack(
        root,
        archive(
            directory("d"),
            ("d/.wh.gone", b""),
            directory("o"),
            ("o/.wh..wh..opq", b""),
            ("o/new", b"1"),
            ("implied/.wh.x", b""),
            ("later/f", b""),
            (".wh.later", b""),
            (".wh.first", b""),
            ("first/f", b""),
            ("d/.wh..wh.plnk", b""),
        ),
    )
    gone = os.lstat(root / "d/gone")
    assert (stat.S_ISCHR(gone.st_mode), gone.st_rdev) == (True, 0)
    assert os.getxattr(root / "o", OPAQUE) == b"y"
    assert stat.S_ISCHR(os.lstat(root / "implied/x").st_mode)
    assert os.getxattr(root / "later", OPAQUE) == b"y"
    assert os.getxattr(root / "first", OPAQUE) == b"y"
    assert os.listdir(root / "d") == ["gone"]


def test_whiteouts_are_plain_names_elsewhere(root: Path) -> None:
    unpack(root, archive((".wh.x", b"1")), rules=Rules(overlay=False))
    assert (root / ".wh.x").read_bytes() == b"1"


def test_the_last_of_several_entries_wins(root: Path) -> None:
    unpack(
        root,
        archive(
            ("a", b"1"),
            ("a", b"22"),
            directory("d", mode=0o700),
            ("d/x", b"x"),
            directory("d", mode=0o711),
            ("file-then-dir", b""),
            directory("file-then-dir"),
            ("file-then-dir/in", b"1"),
            directory("tree"),
            ("tree/deep/er", b""),
            ("tree", b"now a file"),
            symlink("l", "/x"),
            ("l", b"no link"),
        ),
    )
    assert (root / "a").read_bytes() == b"22"
    assert stat.S_IMODE((root / "d").stat().st_mode) == 0o711
    assert (root / "d/x").read_bytes() == b"x"
    assert (root / "file-then-dir/in").read_bytes() == b"1"
    assert (root / "tree").read_bytes() == b"now a file"
    assert not (root / "l").is_symlink()


def test_links_inside_are_followed_inside(root: Path) -> None:
    unpack(
        root,
        archive(
            directory("usr/lib"),
            symlink("lib", "usr/lib"),
            ("lib/f", b"1"),
            symlink("abs", "/usr"),
            ("abs/lib/g", b"2"),
        ),
    )
    assert (root / "usr/lib/f").read_bytes() == b"1"
    assert (root / "usr/lib/g").read_bytes() == b"2"


@pytest.mark.parametrize("name", ["../outside/x", "a/../../outside/x", "..", "/../x", "a/../.."])
def test_names_that_lead_out_are_refused(root: Path, outside: Path, name: str) -> None:
    with pytest.raises(InvalidRequest, match=r"layer X: entry .* refused: its name leads out"):
        unpack(root, archive((name, b"evil")))


def test_absolute_names_stay_inside(root: Path, outside: Path) -> None:
    unpack(root, archive((f"{outside}/secret", b"evil")))
    assert (root / f"{outside}/secret".lstrip("/")).read_bytes() == b"evil"


@pytest.mark.parametrize(
    "target", ["{out}", "../outside", "../../../../../../{out}", "/proc/self/root{out}"]
)
def test_links_do_not_lead_out(root: Path, outside: Path, target: str) -> None:
    link = target.format(out=outside)
    with contextlib.suppress(InvalidRequest):
        unpack(root, archive(symlink("l", link), ("l/secret", b"evil")))
    with contextlib.suppress(InvalidRequest):
        unpack(root, archive(symlink("m", link), symlink("m/n", "x"), directory("m", mode=0)))
    with contextlib.suppress(InvalidRequest):
        unpack(root, archive(symlink("s", f"{link}/secret"), ("s", b"evil")))


def test_magic_links_are_refused(root: Path, outside: Path) -> None:
    os.mkdir(root / "proc")
    subprocess.run(["mount", "-t", "proc", "proc", root / "proc"], check=True)
    try:
        with pytest.raises(InvalidRequest):
            unpack(root, archive(symlink("l", f"/proc/1/root{outside}"), ("l/x", b"evil")))
    finally:
        subprocess.run(["umount", root / "proc"], check=True)


@pytest.mark.parametrize("target", ["../outside/secret", "/etc/passwd", "l/secret", "", "."])
def test_hard_links_do_not_lead_out(root: Path, outside: Path, target: str) -> None:
    with pytest.raises(InvalidRequest):
        unpack(
            root,
            archive(symlink("l", str(outside)), member("h", tarfile.LNKTYPE, linkname=target)),
        )


def test_a_hard_link_to_a_link_is_one(root: Path, outside: Path) -> None:
    data = archive(
        symlink("l", f"{outside}/secret"),
        member("h", tarfile.LNKTYPE, linkname="l"),
        ("h", b"evil"),
    )
    unpack(root, data)
    assert (root / "h").read_bytes() == b"evil"


def test_attributes_of_the_overlay_are_dropped(root: Path) -> None:
    info = directory("d")
    info.pax_headers = {
        "SCHILY.xattr.trusted.overlay.redirect": "/etc",
        "SCHILY.xattr.trusted.overlay.opaque": "y",
        "SCHILY.xattr.security.selinux": "x",
    }
    unpack(root, archive(info))
    assert os.listxattr(root / "d") == []


def test_impossible_things_name_the_entry(root: Path) -> None:
    for item in (
        ("n" * 300, b""),
        member("dev", tarfile.CHRTYPE, devmajor=1 << 13, devminor=0),
        member("h", tarfile.LNKTYPE, linkname="missing"),
        directory("/".join(["deep"] * 2000)),
    ):
        with pytest.raises(InvalidRequest, match="layer X: cannot write "):
            unpack(root, archive(item))


def test_a_file_in_place_of_a_parent_is_refused(root: Path) -> None:
    with pytest.raises(InvalidRequest, match="a/b"):
        unpack(root, archive(("a", b""), ("a/b", b"")))


def test_a_sparse_map_that_lies_is_refused(root: Path) -> None:
    info = member("f")
    info.pax_headers = {"GNU.sparse.map": "0,2,100,3", "GNU.sparse.size": "20"}
    with pytest.raises(InvalidRequest, match="a sparse extent beyond the file's end"):
        unpack(root, archive((info, b"abcde")))


def test_nested_directories_without_end(root: Path) -> None:
    """Links shorten the way, so a tree deeper than any path can be made, and be removed."""
    deep = "/".join(["d"] * 900)
    members = [directory(deep), symlink("s0", deep)]
    for step in range(1, 4):
        members += [directory(f"s{step - 1}/{deep}"), symlink(f"s{step}", f"s{step - 1}/{deep}")]
    unpack(root, archive(*members, ("d", b"a file in its place")))
    assert (root / "d").read_bytes() == b"a file in its place"


def test_times_beyond_the_clock(root: Path) -> None:
    past, future = member("p"), member("f")
    past.pax_headers = {"mtime": "-99999999999.5"}
    future.pax_headers = {"mtime": "99999999999999999"}
    unpack(root, archive((past, b""), (future, b"")))
    assert (root / "p").stat().st_mtime < 0


def test_sockets_in_a_root_do_not_disturb(root: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "s"))
        unpack(root, archive(("s", b"1")))
    assert (root / "s").read_bytes() == b"1"
