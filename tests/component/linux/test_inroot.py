"""Paths inside a hostile root: nothing leads outside, whatever the links say."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from enclos.linux import inroot


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    place = tmp_path / "outside"
    place.mkdir()
    (place / "secret").write_text("host")
    return place


@pytest.fixture
def root(tmp_path: Path, outside: Path) -> Path:
    place = tmp_path / "root"
    (place / "etc").mkdir(parents=True)
    (place / "etc" / "passwd").write_text("guest")
    (place / "up").symlink_to("../../../../../../../outside")
    (place / "absolute").symlink_to(outside)
    (place / "dangling").symlink_to("/run/made/later")
    (place / "loop").symlink_to("loop")
    (place / "inner").symlink_to("/etc")
    return place


@pytest.fixture
def handle(root: Path) -> Iterator[int]:
    descriptor = inroot.open_root(root)
    yield descriptor
    os.close(descriptor)


def path_of(descriptor: int) -> Path:
    try:
        return Path(os.readlink(f"/proc/self/fd/{descriptor}"))
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("path", ["/etc/passwd", "etc/../etc/passwd", "../../etc/passwd",
                                  "/inner/passwd", "/up/../etc/passwd"])  # fmt: skip
def test_a_path_resolves_as_if_the_root_were_the_root(root: Path, path: str) -> None:
    if path.startswith("/up"):
        with pytest.raises(FileNotFoundError):
            inroot.resolve_in_root(root, path)
        return
    assert path_of(inroot.resolve_in_root(root, path)) == root / "etc" / "passwd"


@pytest.mark.parametrize("path", ["up/secret", "absolute/secret", "/absolute"])
def test_links_that_lead_outside_lead_nowhere(root: Path, path: str) -> None:
    with pytest.raises(FileNotFoundError):
        inroot.resolve_in_root(root, path)


def test_a_link_can_be_looked_at_itself(root: Path) -> None:
    found = inroot.resolve_in_root(root, "inner", follow=False)
    assert path_of(found) == root / "inner"


def test_magic_links_of_a_proc_are_refused() -> None:
    with pytest.raises(OSError, match="openat2") as caught:
        inroot.resolve_in_root(Path("/"), f"/proc/{os.getpid()}/root")
    assert caught.value.errno == errno.ELOOP


def test_targets_are_made_with_their_parents(root: Path, handle: int) -> None:
    assert path_of(inroot.ensure_target(handle, "/a/b/c", directory=True)) == root / "a/b/c"
    assert path_of(inroot.ensure_target(handle, "/a/f/g", directory=False)) == root / "a/f/g"
    assert (root / "a/f").is_dir()
    assert (root / "a/f/g").is_file()


def test_existing_targets_keep_their_content(root: Path, handle: int) -> None:
    assert path_of(inroot.ensure_target(handle, "inner/passwd", directory=False)).name == "passwd"
    assert (root / "etc" / "passwd").read_text() == "guest"


def test_dangling_links_are_followed_and_made(root: Path, handle: int) -> None:
    found = path_of(inroot.ensure_target(handle, "/dangling", directory=False))
    assert found == root / "run/made/later"
    assert found.is_file()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", ""),
        ("/..", ""),
        ("/etc/..", ""),
        ("/up/new", "outside/new"),
        ("/inner/../new", "new"),
        ("etc/./new/", "etc/new"),
    ],
)
def test_dots_and_links_stay_inside(root: Path, handle: int, path: str, expected: str) -> None:
    assert path_of(inroot.ensure_target(handle, path, directory=True)) == root / expected
    assert os.listdir(root.parent / "outside") == ["secret"]


@pytest.mark.parametrize(
    ("path", "wanted", "error"),
    [
        ("/etc/passwd", "directory", NotADirectoryError),
        ("/etc/passwd/below", "directory", NotADirectoryError),
        ("/etc", "file", IsADirectoryError),
        ("/loop", "directory", OSError),
        ("/loop/x", "file", OSError),
    ],
)
def test_what_cannot_be_a_target_is_refused(
    handle: int, path: str, wanted: str, error: type[OSError]
) -> None:
    with pytest.raises(error, match=r"."):
        inroot.ensure_target(handle, path, directory=wanted == "directory")


def _flip(here: Path, aside: Path, outside: Path) -> None:
    """Once around: the directory `here` becomes a link to the host's files, and back."""
    steps: tuple[Callable[[], object], ...] = (
        lambda: here.replace(aside),
        lambda: here.symlink_to(outside),
        here.unlink,
        lambda: aside.replace(here),
    )
    for step in steps:
        with suppress(OSError):  # the other side makes the directory anew at times
            step()
    if here.is_dir() and aside.is_dir():
        shutil.rmtree(aside, ignore_errors=True)


def test_a_link_exchanged_meanwhile_leads_nowhere_else(root: Path, outside: Path) -> None:
    """Every answer is inside or an error, while a directory turns into a link and back."""
    (root / "flip").mkdir()
    done = threading.Event()

    def keep_flipping() -> None:
        while not done.is_set():
            _flip(root / "flip", root / "aside", outside)

    writer = threading.Thread(target=keep_flipping)
    writer.start()
    descriptor = inroot.open_root(root)
    answers = 0
    try:
        for number in range(500):
            try:
                made = path_of(inroot.ensure_target(descriptor, f"/flip/{number}", directory=True))
            except OSError:
                continue
            assert str(made).startswith(str(root))
            answers += 1
    finally:
        done.set()
        writer.join()
        os.close(descriptor)
    assert answers
    assert os.listdir(outside) == ["secret"]
