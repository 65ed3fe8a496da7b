"""Where assets lie and which are in force: a directory per key, a link `current`, a lock.

    ROOT/current            link to the key in force, switched by rename
    ROOT/<key>/             manifest.json, initrd, demo-image, links to the part's files
    ROOT/parts/<digest>/    what came from Debian, shared by keys
    ROOT/.tmp-…             a build under way, or what a killed one left

Nothing here decides what is built; see `build`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from enclos.assets import contents, packages, parts
from enclos.errors import HostUnfit
from enclos.wire import codec

FORMAT: Final = 1
"""Raised when parts or manifest change in a way that older code or assets do not understand."""
MANIFEST: Final = "manifest.json"
INITRD: Final = "initrd"
DEMO_IMAGE: Final = "demo-image"
_CURRENT: Final = "current"
_PARTS: Final = "parts"
_SCRATCH: Final = ".tmp-"
_LOCK: Final = "lock"
_HINT: Final = "run: enclos assets build"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What assets consist of. Names in `files` are relative to the assets' root."""

    format: int
    key: str
    part: str
    agent_version: str
    agent_files: tuple[str, ...]
    kernel_release: str
    qemu_version: str
    packages: dict[str, packages.Package]
    files: dict[str, contents.Record]


@dataclass(frozen=True, slots=True)
class Assets:
    """Assets in force, as paths. `tool_root` is the root file system of the jails."""

    key: str
    path: Path
    tool_root: Path
    guest_root: Path
    vmlinux: Path
    bzimage: Path
    initrd: Path
    demo_image: Path
    agent_version: str
    kernel_release: str
    qemu_version: str
    packages: dict[str, packages.Package]
    manifest: Manifest


def root(data_root: Path) -> Path:
    """The assets' directory below the data root."""
    return data_root / "assets"


def load(data_root: Path) -> Assets:
    """The assets in force; raises `HostUnfit` if there are none that this version can use."""
    place = root(data_root)
    try:
        raw = (place / _CURRENT / MANIFEST).read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise HostUnfit(f"there are no assets in {place}", hint=_HINT) from error
    except OSError as error:
        raise HostUnfit(f"cannot read the assets in {place}: {error}", hint=_HINT) from error
    try:
        manifest = codec.decode(Manifest, raw)
    except codec.CodecError as error:
        raise HostUnfit(
            f"the assets in {place} are of another version or damaged: {error}", hint=_HINT
        ) from error
    if manifest.format != FORMAT:
        raise HostUnfit(
            f"the assets in {place} have format {manifest.format}, this version needs {FORMAT}",
            hint=_HINT,
        )
    return describe(place, manifest)


def describe(place: Path, manifest: Manifest) -> Assets:
    """The paths of what `manifest` names below the assets' directory `place`."""
    part = part_directory(place, manifest.part)
    path = place / manifest.key
    return Assets(
        key=manifest.key,
        path=path,
        tool_root=part / parts.TOOL_ROOT,
        guest_root=part / parts.GUEST_ROOT,
        vmlinux=part / parts.VMLINUX,
        bzimage=part / parts.BZIMAGE,
        initrd=path / INITRD,
        demo_image=path / DEMO_IMAGE,
        agent_version=manifest.agent_version,
        kernel_release=manifest.kernel_release,
        qemu_version=manifest.qemu_version,
        packages=manifest.packages,
        manifest=manifest,
    )


def part_directory(place: Path, digest: str) -> Path:
    """Where the part with this digest lies."""
    return place / _PARTS / digest


def current_identity(place: Path) -> tuple[int, int] | None:
    """Changes whenever assets are put in force, even if they are the same ones."""
    try:
        found = (place / _CURRENT).lstat()
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
    link = working / _CURRENT
    link.symlink_to(manifest.key)
    link.rename(place / _CURRENT)
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
    in_force = (place / _CURRENT).readlink().name
    kept = {in_force, *(path.name for path in newest_first[:keep])}
    for path in newest_first:
        if path.name not in kept:
            shutil.rmtree(path)
    needed = {_part_of(place / key) for key in kept}
    for part in (place / _PARTS).iterdir():
        if part.name not in needed and not _is_mounted(part.name):
            shutil.rmtree(part)


def _keys(place: Path) -> Iterator[Path]:
    for path in place.iterdir():
        others = path.name == _PARTS or path.name.startswith(_SCRATCH)
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
            if f"{_PARTS}/{digest}/" in table.read_text(errors="replace"):
                return True
    return False
