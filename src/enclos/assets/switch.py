"""Changes which assets are there and in force: the builders' lock, scratch space, the switch.

The writing side of `store`. Nothing here decides what is built; see `making`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from enclos.assets.store import CURRENT, MANIFEST, PARTS, Manifest
from enclos.wire import codec

_SCRATCH: Final = ".tmp-"
_LOCK: Final = "lock"


def current_identity(place: Path) -> tuple[int, int] | None:
    """Changes whenever assets are put in force, even if they are the same ones."""
    try:
        found = (place / CURRENT).lstat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


@contextlib.contextmanager
def locked(place: Path, report: Callable[[str], None]) -> Iterator[None]:
    """Be the only builder in `place`, which is made if need be; says so when it has to wait."""
    place.mkdir(parents=True, exist_ok=True)
    with (place / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("waiting for another build of the assets")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def scratch(place: Path) -> Iterator[Path]:
    """A directory for a build under way, removed in the end. Only with the lock held.

    What killed builds left is removed first: nobody else can be building.
    """
    for leftover in place.glob(f"{_SCRATCH}*"):
        shutil.rmtree(leftover, ignore_errors=True)  # its mmdebstrap may still be at work
    directory = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=place))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def install(source: Path, target: Path) -> None:
    """Move the directory `source` to `target`; what is there goes to where `source` was."""
    target.parent.mkdir(exist_ok=True)
    if target.exists():
        target.rename(source.with_name(f"{source.name}.old"))
    source.rename(target)


def activate(place: Path, manifest: Manifest, working: Path) -> None:
    """Write the manifest and put its assets in force; `working` is a scratch directory."""
    (working / MANIFEST).write_bytes(codec.encode(manifest))
    (working / MANIFEST).rename(place / manifest.key / MANIFEST)
    for path in (place / manifest.key).rglob("*"):
        _sync(path)  # what the link leads to must be on the disk before the link is
    link = working / CURRENT
    link.symlink_to(manifest.key)
    link.rename(place / CURRENT)
    _sync(place)


def _sync(path: Path) -> None:
    if path.is_symlink():
        return  # kept by the directory that holds it
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def prune(place: Path, *, keep: int = 2) -> None:
    """Remove all but the `keep` newest assets, and parts that neither they nor a jail use."""
    newest_first = sorted(_keys(place), key=lambda path: -path.stat().st_mtime_ns)
    in_force = (place / CURRENT).readlink().name
    kept = {in_force, *(path.name for path in newest_first[:keep])}
    for path in newest_first:
        if path.name not in kept:
            shutil.rmtree(path)
    needed = {_part_of(place / key) for key in kept}
    for part in (place / PARTS).iterdir():
        if part.name not in needed and not _is_mounted(part.name):
            shutil.rmtree(part)


def _keys(place: Path) -> Iterator[Path]:
    for path in place.iterdir():
        others = path.name == PARTS or path.name.startswith(_SCRATCH)
        if path.is_dir() and not path.is_symlink() and not others:
            yield path


def _part_of(directory: Path) -> str:
    """The part that assets are built on; empty if they are of another version."""
    try:
        return codec.decode(Manifest, (directory / MANIFEST).read_bytes()).part
    except (OSError, codec.CodecError):
        return ""


def _is_mounted(digest: str) -> bool:
    """Whether any process has something of this part mounted: a jail made from its tool root."""
    for table in Path("/proc").glob("[0-9]*/mountinfo"):
        with contextlib.suppress(OSError):
            if f"{PARTS}/{digest}/" in table.read_text(errors="replace"):
                return True
    return False
