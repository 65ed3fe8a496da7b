"""Where assets lie and which are in force: a directory per key, a link `current`, a lock.

    ROOT/current            link to the key in force, switched by rename
    ROOT/<key>/             manifest.json, packages.json, initrd, demo-image, links to the part
    ROOT/parts/<digest>/    what came from Debian, shared by keys
    ROOT/.tmp-…             a build under way, or what a killed one left

This is the reading side, part of every start, so it imports little; `switch` is the other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from enclos.assets import contents
from enclos.errors import HostUnfit
from enclos.structs import dataclass
from enclos.wire import codec

FORMAT: Final = 1
"""Raised when parts or manifest change in a way that older code or assets do not understand."""
MANIFEST: Final = "manifest.json"
INITRD: Final = "initrd"
DEMO_IMAGE: Final = "demo-image"
PACKAGES: Final = "packages.json"
TOOL_ROOT: Final = "tool-root"
GUEST_ROOT: Final = "guest-root"
VMLINUX: Final = "vmlinux"
BZIMAGE: Final = "bzImage"
CURRENT: Final = "current"
PARTS: Final = "parts"
_HINT: Final = "run: enclos assets build"


@dataclass(frozen=True, slots=True)
class Package:
    """One resolved Debian package: its version and the digest of its .deb file."""

    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Packages:
    """All packages that assets were made from, by name."""

    packages: dict[str, Package]


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
    manifest: Manifest


def root(data_root: Path) -> Path:
    """The assets' directory below the data root."""
    return data_root / "assets"


def load(data_root: Path) -> Assets:
    """The assets in force; raises `HostUnfit` if there are none that this version can use."""
    place = root(data_root)
    try:
        raw = (place / CURRENT / MANIFEST).read_bytes()
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
        tool_root=part / TOOL_ROOT,
        guest_root=part / GUEST_ROOT,
        vmlinux=part / VMLINUX,
        bzimage=part / BZIMAGE,
        initrd=path / INITRD,
        demo_image=path / DEMO_IMAGE,
        agent_version=manifest.agent_version,
        kernel_release=manifest.kernel_release,
        qemu_version=manifest.qemu_version,
        manifest=manifest,
    )


def part_directory(place: Path, digest: str) -> Path:
    """Where the part with this digest lies."""
    return place / PARTS / digest


def packages(assets: Assets) -> dict[str, Package]:
    """What Debian packages `assets` were made from; raises `HostUnfit` if that is damaged."""
    try:
        return codec.decode(Packages, (assets.path / PACKAGES).read_bytes()).packages
    except (OSError, codec.CodecError) as error:
        raise HostUnfit(f"cannot read {assets.path / PACKAGES}: {error}", hint=_HINT) from error
