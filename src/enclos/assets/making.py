"""Builds the assets: from Debian's packages, or, when only our code changed, from the last part.

Everything happens in a scratch directory beside the assets and is put in force by one rename:
an interrupted build changes nothing. One builder at a time; who waited takes what the other made.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from enclos.assets import contents, demo, initrd, packages, parts, store, switch
from enclos.errors import HostUnfit
from enclos.structs import dataclass
from enclos.tools import mmdebstrap
from enclos.wire import codec

_NEEDED_BYTES: Final = 1200 << 20
_QUICK_PARTS: Final = (f"{store.TOOL_ROOT}/", store.VMLINUX, store.BZIMAGE)
"""Files of a part that a start of a sandbox depends on."""


@dataclass(frozen=True, slots=True)
class _Source:
    """The part that assets are made from, and the packages it came from."""

    part: parts.Part
    packages: dict[str, store.Package]


def from_packages(
    data_root: Path, archive: mmdebstrap.Archive, *, report: Callable[[str], None]
) -> store.Assets:
    """Fetch the packages and make everything; what a builder we waited for made will do."""
    place = store.root(data_root)
    before = switch.current_identity(place)
    with _building(place, report) as working:
        if switch.current_identity(place) != before:
            return store.load(data_root)
        source = _make_part(place, working, archive=archive, report=report)
        return _make_assets(place, working, source=source, report=report)


def from_part(
    data_root: Path,
    *,
    wanted: Callable[[store.Assets], bool],
    report: Callable[[str], None],
) -> store.Assets:
    """Make the initrd again from the part in force, unless what is in force is `wanted` by now."""
    place = store.root(data_root)
    with _building(place, report) as working:
        assets = store.load(data_root)
        if wanted(assets):
            return assets
        part = parts.read(store.part_directory(place, assets.manifest.part))
        source = _Source(part, store.packages(assets))
        return _make_assets(place, working, source=source, report=report)


@contextlib.contextmanager
def _building(place: Path, report: Callable[[str], None]) -> Iterator[Path]:
    """The lock, a scratch directory, and errors of the file system in our words."""
    if os.geteuid() != 0:
        raise HostUnfit("building the assets needs root", hint="run as root")
    mask = os.umask(0o022)
    try:
        with switch.locked(place, report), switch.scratch(place) as working:
            yield working
    except OSError as error:
        raise HostUnfit(
            f"cannot build the assets in {place}: {error}", hint="check the disk and its free space"
        ) from error
    finally:
        os.umask(mask)


def _make_part(
    place: Path, working: Path, *, archive: mmdebstrap.Archive, report: Callable[[str], None]
) -> _Source:
    free = shutil.disk_usage(place).free
    if free < _NEEDED_BYTES:
        raise HostUnfit(
            f"{place} has {free >> 20} MB free, building the assets needs {_NEEDED_BYTES >> 20}",
            hint="free some space or set another data root",
        )
    report(f"fetching Debian {archive.suite} packages from {archive.mirror}")
    unpacked, target = working / "packages", working / "part"
    resolved = packages.fetch(unpacked, archive, report=report)
    report("selecting tools, kernel and guest files")
    target.mkdir()
    part = parts.make(unpacked, target)
    final = store.part_directory(place, part.digest)
    if not parts.is_whole(final):
        os.sync()  # thousands of files: one by one would take longer
        switch.install(target, final)
    return _Source(parts.read(final), resolved)


def _make_assets(
    place: Path, working: Path, *, source: _Source, report: Callable[[str], None]
) -> store.Assets:
    directory = store.part_directory(place, source.part.digest)
    report("building the initrd")
    guest = directory / store.GUEST_ROOT
    made = initrd.build(guest, source.part.kernel_release)
    target = working / "assets"
    target.mkdir()
    (target / store.INITRD).write_bytes(made.data)
    demo.make(guest / initrd.BUSYBOX, target / store.DEMO_IMAGE)
    _link(target, source.part.digest)
    key = _key(source.part, target)
    resolved = store.Packages(source.packages)
    (target / store.PACKAGES).write_bytes(codec.encode(resolved))
    switch.install(target, place / key)
    manifest = _manifest(place, key, source=source, made=made)
    switch.activate(place, manifest, working)
    switch.prune(place)
    size = f"{len(made.data) / 1e6:.1f} MB"
    report(f"assets {key[:12]} are in force: kernel {manifest.kernel_release}, initrd {size}")
    return store.describe(place, manifest)


def _link(target: Path, part: str) -> None:
    """Links for people: the programs use the part's own paths."""
    for name in (store.TOOL_ROOT, store.VMLINUX, store.BZIMAGE):
        (target / name).symlink_to(store.part_directory(Path(".."), part) / name)


def _key(part: parts.Part, target: Path) -> str:
    """Names the assets by what is in them, so that equal ones are one."""
    whole = hashlib.sha256(f"{store.FORMAT}\n{part.digest}\n".encode())
    whole.update(contents.digest(contents.describe(target)).encode())
    return whole.hexdigest()


def _manifest(place: Path, key: str, *, source: _Source, made: initrd.Initrd) -> store.Manifest:
    directory = store.part_directory(Path(), source.part.digest)
    own = contents.describe(place / key)
    files = {f"{key}/{name}": record for name, record in own.items() if name != store.MANIFEST}
    for name, record in source.part.files.items():
        if name.startswith(_QUICK_PARTS):
            files[(directory / name).as_posix()] = record
    return store.Manifest(
        format=store.FORMAT,
        key=key,
        part=source.part.digest,
        agent_version=made.agent_version,
        agent_files=made.agent_files,
        kernel_release=source.part.kernel_release,
        qemu_version=source.packages["qemu-system-x86"].version,
        files=files,
    )
