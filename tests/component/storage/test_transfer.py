"""Copies into and out of a root that a hostile guest has prepared."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from enclos.errors import InvalidRequest, NotFound
from enclos.storage import nodes, transfer

CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    """A container's root; outside of it a file that must stay as it is."""
    path = tmp_path / "root"
    (path / "etc").mkdir(parents=True)
    (path / "etc/passwd").write_text("root:x")
    (tmp_path / "secret").write_text("secret")
    fd = os.open(path, nodes.DIRECTORY_FLAGS)
    yield fd
    os.close(fd)
    assert (tmp_path / "secret").read_text() == "secret"


@pytest.fixture
def inside(tmp_path: Path, root: int) -> Path:
    return tmp_path / "root"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "host"
    path.mkdir()
    monkeypatch.chdir(path)
    return path


def make_tree(path: Path) -> None:
    (path / "sub").mkdir(parents=True)
    (path / "f").write_bytes(os.urandom(3_000_000))
    (path / "sub/x").write_text("x")
    os.chmod(path / "sub/x", 0o751)
    os.link(path / "sub/x", path / "sub/y")
    (path / "l").symlink_to("sub/x")
    os.mkfifo(path / "pipe")
    with (path / "sparse").open("wb") as file:
        file.write(b"start")
        file.seek(50 << 20)
        file.write(b"end")


def same(left: Path, right: Path) -> bool:
    argv = ["diff", "-r", "--no-dereference", "-x", "pipe", str(left), str(right)]
    return subprocess.run(argv).returncode == 0


def test_a_tree_there_and_back(root: int, inside: Path, host: Path) -> None:
    make_tree(host / "tree")
    transfer.copy_in(root, "tree", "/opt")
    assert same(host / "tree", inside / "opt")
    transfer.copy_out(root, "opt", "back")
    assert same(host / "tree", host / "back")
    assert (host / "back/sparse").stat().st_blocks * 512 < 1 << 20
    assert (host / "back/sub/x").stat().st_nlink == 2
    assert stat.S_ISFIFO(os.lstat(host / "back/pipe").st_mode)
    before, after = (host / "tree/sub/x").stat(), (host / "back/sub/x").stat()
    assert (before.st_mode, before.st_mtime_ns) == (after.st_mode, after.st_mtime_ns)
    assert (host / "tree").stat().st_mtime_ns == (host / "back").stat().st_mtime_ns


def test_a_file_by_every_spelling(root: int, inside: Path, host: Path) -> None:
    (host / "f").write_text("content")
    transfer.copy_in(root, "f", "etc")
    transfer.copy_in(root, "./f", "/etc/")
    transfer.copy_in(root, str(host / "f"), "/etc/g")
    transfer.copy_in(root, "f", "etc/passwd")
    assert {path.name for path in (inside / "etc").iterdir()} == {"f", "g", "passwd"}
    assert (inside / "etc/passwd").read_text() == "content"
    transfer.copy_out(root, "/etc/g", ".")
    transfer.copy_out(root, "/etc/./../etc/g", "h")
    assert (host / "h").read_text() == (host / "g").read_text() == "content"


def test_contents_and_directories(root: int, inside: Path, host: Path) -> None:
    make_tree(host / "tree")
    os.chmod(inside / "etc", 0o700)
    transfer.copy_in(root, "tree/.", "/etc")
    assert (inside / "etc/sub/x").exists()
    assert stat.S_IMODE((inside / "etc").stat().st_mode) == 0o700
    transfer.copy_in(root, "tree", "/etc")
    assert (inside / "etc/tree/sub/x").exists()
    transfer.copy_in(root, "tree", "/etc")
    assert same(host / "tree", inside / "etc/tree")


def test_owners(root: int, inside: Path, host: Path) -> None:
    (host / "f").write_text("")
    os.chown(host / "f", 1000, 1000)
    transfer.copy_in(root, "f", "/plain")
    transfer.copy_in(root, "f", "/kept", archive=True)
    assert (inside / "plain").stat().st_uid == 0
    assert (inside / "kept").stat().st_uid == 1000
    transfer.copy_out(root, "/kept", "mine")
    transfer.copy_out(root, "/kept", "theirs", archive=True)
    assert (host / "mine").stat().st_uid == os.geteuid()
    assert (host / "theirs").stat().st_uid == 1000


def test_dangerous_files_come_out_harmless(root: int, inside: Path, host: Path) -> None:
    (inside / "suid").write_text("")
    os.chmod(inside / "suid", 0o6755)
    os.setxattr(inside / "suid", "security.capability", CAPABILITY)
    os.mknod(inside / "disk", stat.S_IFBLK | 0o666, os.makedev(8, 0))
    transfer.copy_out(root, "/suid", ".")
    assert stat.S_IMODE((host / "suid").stat().st_mode) == 0o755
    assert os.listxattr(host / "suid") == []
    with pytest.raises(InvalidRequest, match="block device is copied in archive mode only"):
        transfer.copy_out(root, "/disk", ".")
    transfer.copy_out(root, "/suid", "kept", archive=True)
    assert stat.S_IMODE((host / "kept").stat().st_mode) == 0o6755
    assert os.getxattr(host / "kept", "security.capability") == CAPABILITY


def test_links_stay_links_unless_followed(root: int, inside: Path, host: Path) -> None:
    (inside / "l").symlink_to("/etc/passwd")
    (inside / "d").symlink_to("etc")
    transfer.copy_out(root, "/l", "link")
    assert os.readlink(host / "link") == "/etc/passwd"
    transfer.copy_out(root, "/l", "file", follow=True)
    assert (host / "file").read_text() == "root:x"
    transfer.copy_out(root, "/d/", "dir")
    assert (host / "dir/passwd").read_text() == "root:x"
    transfer.copy_out(root, "/d/.", "contents")
    assert (host / "contents/passwd").read_text() == "root:x"


def test_links_in_the_container_do_not_lead_out(
    root: int, inside: Path, host: Path, tmp_path: Path
) -> None:
    (inside / "out").symlink_to(tmp_path)
    (inside / "up").symlink_to("../../../../../../../../.." + str(tmp_path))
    (inside / "file").symlink_to(tmp_path / "secret")
    (host / "f").write_text("evil")
    for path in ("/out/secret", "/up/secret", "/up/../out/secret"):
        with pytest.raises(NotFound):
            transfer.copy_out(root, path, "x")
        with pytest.raises(NotFound):
            transfer.copy_in(root, "f", path)
    with pytest.raises(NotFound):
        transfer.copy_in(root, "f", "/file")
    transfer.copy_out(root, "/../../../etc/passwd", "p")
    assert (host / "p").read_text() == "root:x"


def test_links_in_a_tree_do_not_lead_astray(root: int, inside: Path, host: Path) -> None:
    """A directory copied over a link of the same name is refused, not put behind the link."""
    (host / "tree/etc").mkdir(parents=True)
    (host / "tree/etc/f").write_text("1")
    (inside / "opt").mkdir()
    (inside / "opt/etc").symlink_to("/etc")
    with pytest.raises(InvalidRequest, match="it would replace what is not a directory"):
        transfer.copy_in(root, "tree/.", "/opt")
    assert not (inside / "etc/f").exists()


def test_a_destination_that_is_a_link(root: int, inside: Path, host: Path) -> None:
    (inside / "l").symlink_to("etc/new")
    (inside / "d").symlink_to("/etc")
    (host / "f").write_text("1")
    transfer.copy_in(root, "f", "/l")
    assert (inside / "etc/new").read_text() == "1"
    transfer.copy_in(root, "f", "/d")
    assert (inside / "etc/f").read_text() == "1"
    (inside / "a").symlink_to("b")
    (inside / "b").symlink_to("a")
    with pytest.raises(InvalidRequest, match="too many symbolic links"):
        transfer.copy_in(root, "f", "/a")


@pytest.mark.parametrize(
    ("source", "target"),
    [("/none", "x"), ("/etc/none", "x"), ("/etc/passwd/x", "x"), ("/etc/passwd", "no/such/x")],
)
def test_what_is_missing(root: int, host: Path, source: str, target: str) -> None:
    with pytest.raises(NotFound):
        transfer.copy_out(root, source, target)
    assert not list(host.iterdir())


def test_sockets_are_left_out(root: int, inside: Path, host: Path) -> None:
    import socket

    (inside / "run").mkdir()
    (inside / "run/f").write_text("")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(inside / "run/s"))
        transfer.copy_out(root, "/run", ".")
    assert os.listdir(host / "run") == ["f"]


def test_a_stream_out_is_an_archive(root: int, inside: Path, host: Path) -> None:
    make_tree(inside / "tree")
    with (host / "a.tar").open("wb") as file:
        transfer.stream_out(root, "/tree", output_fd=file.fileno())
    subprocess.run(["tar", "-xf", "a.tar"], check=True)
    assert same(inside / "tree", host / "tree")
    with tarfile.open("a.tar") as tar:
        assert tar.getnames()[0] == "tree"
    with pytest.raises(NotFound):
        transfer.stream_out(root, "/none", output_fd=1)


@pytest.mark.parametrize("compression", ["", "-z", "-j", "-J"])
def test_a_stream_in(root: int, inside: Path, host: Path, compression: str) -> None:
    make_tree(host / "tree")
    os.chown(host / "tree/f", 12, 34)
    subprocess.run(["tar", "-cSf", "a.tar", *compression.split(), "tree"], check=True)
    with (host / "a.tar").open("rb") as file:
        transfer.stream_in(root, "/etc", input_fd=file.fileno())
    assert same(host / "tree", inside / "etc/tree")
    assert (inside / "etc/tree/f").stat().st_gid == 34


def test_a_stream_through_a_pipe(root: int, inside: Path) -> None:
    (inside / "big").write_bytes(data := os.urandom(5_000_000))
    reader, writer = os.pipe()

    def send() -> None:
        transfer.stream_out(root, "/big", output_fd=writer)
        os.close(writer)

    thread = threading.Thread(target=send)
    thread.start()
    transfer.stream_in(root, "/etc", input_fd=reader)
    thread.join()
    os.close(reader)
    assert (inside / "etc/big").read_bytes() == data


def test_streams_that_are_refused(root: int, inside: Path, host: Path, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("../../secret"))
    for number, data in enumerate((buffer.getvalue(), b"no archive" * 100, b"\x1f\x8b\x08" * 9)):
        (host / str(number)).write_bytes(data)
        with (host / str(number)).open("rb") as file, pytest.raises(InvalidRequest):
            transfer.stream_in(root, "/etc", input_fd=file.fileno())
    with (host / "0").open("rb") as file, pytest.raises(NotFound):
        transfer.stream_in(root, "/none", input_fd=file.fileno())


def test_a_tree_that_changes_while_it_is_copied(
    root: int, inside: Path, host: Path, tmp_path: Path
) -> None:
    """A guest exchanges a directory for a link to the host as fast as it can."""
    (inside / "d").mkdir()
    (inside / "d/secret").write_text("inside")
    (inside / "bad").symlink_to(tmp_path)
    stop = threading.Event()

    def exchange() -> None:
        while not stop.is_set():
            os.rename(inside / "d", inside / "e")
            os.rename(inside / "bad", inside / "d")
            os.rename(inside / "d", inside / "bad")
            os.rename(inside / "e", inside / "d")

    def copies() -> list[str]:
        found = host.glob("*/secret")
        return [path.read_text() for path in found if not path.parent.is_symlink()]

    thread = threading.Thread(target=exchange)
    thread.start()
    try:
        for number in range(30_000):
            if number >= 300 and copies():
                break
            try:
                transfer.copy_out(root, "/d", str(number))
                transfer.copy_in(root, "/etc/hostname", "/d/secret")
            except (InvalidRequest, NotFound):
                continue
    finally:
        stop.set()
        thread.join()
    assert copies()
    assert "secret" not in copies()


def test_a_refused_copy_keeps_no_file_open(root: int, inside: Path, host: Path) -> None:
    (host / "f").write_text("x")
    (inside / "d/f").mkdir(parents=True)
    before = os.listdir("/proc/self/fd")
    with pytest.raises(InvalidRequest, match="would replace what is a directory"):
        transfer.copy_in(root, "f", "/d")
    assert os.listdir("/proc/self/fd") == before
