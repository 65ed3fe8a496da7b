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
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from enclos.assets import agent, contents, demo, initrd, packages, parts, store, verify
from enclos.errors import HostUnfit
from enclos.tools import mmdebstrap

Report = Callable[[str], None]

_NEEDED_BYTES: Final = 1200 << 20
_QUICK_PARTS: Final = (f"{parts.TOOL_ROOT}/", parts.VMLINUX, parts.BZIMAGE)
"""Files of a part that a start of a sandbox depends on."""
_BUILD: Final = "run: enclos assets build"


@dataclass(frozen=True, slots=True)
class _Source:
    """The part that assets are made from, and the packages it came from."""

    part: parts.Part
    packages: dict[str, packages.Package]


def build(
    data_root: Path, *, report: Report, archive: mmdebstrap.Archive | None = None
) -> store.Assets:
    """Fetch the packages, build everything and put it in force.

    Raises `HostUnfit` if the host cannot; the assets in force before stay so.
    """
    place = store.root(data_root)
    before = store.current_identity(place)
    with _building(place, report) as working:
        if store.current_identity(place) != before:
            return store.load(data_root)
        source = _make_part(place, working, archive=archive or mmdebstrap.Archive(), report=report)
        return _make_assets(place, working, source=source, report=report)


def ensure(
    data_root: Path,
    *,
    allow_build: bool,
    report: Report,
    archive: mmdebstrap.Archive | None = None,
) -> store.Assets:
    """Assets that are whole and whose agent is this code's.

    The initrd is made again, without the network, when only it is damaged or of other code.
    What needs the packages again is built if `allow_build`, else refused by `HostUnfit`.
    """
    try:
        assets = store.load(data_root)
    except HostUnfit:
        if not allow_build:
            raise
        return build(data_root, report=report, archive=archive)
    damaged = verify.quick(assets)
    if not damaged and is_current(assets):
        return assets
    if any(not name.startswith(f"{assets.key}/") for name in damaged):
        if not allow_build:
            raise HostUnfit(f"damaged assets: {', '.join(damaged[:5])}", hint=_BUILD)
        return build(data_root, report=report, archive=archive)
    return _refresh(data_root, report)


def is_current(assets: store.Assets) -> bool:
    """Whether the agent in the assets is the one this code would build."""
    try:
        return agent.version(assets.manifest.agent_files) == assets.agent_version
    except OSError:
        return False  # a file of the old agent is gone: the new one is another


def _refresh(data_root: Path, report: Report) -> store.Assets:
    """Make the initrd again from the part in force."""
    place = store.root(data_root)
    with _building(place, report) as working:
        assets = store.load(data_root)
        if not verify.quick(assets) and is_current(assets):
            return assets  # somebody else did it while we waited
        part = parts.read(store.part_directory(place, assets.manifest.part))
        source = _Source(part, assets.packages)
        return _make_assets(place, working, source=source, report=report)


@contextlib.contextmanager
def _building(place: Path, report: Report) -> Iterator[Path]:
    """The lock, a scratch directory, and errors of the file system in our words."""
    if os.geteuid() != 0:
        raise HostUnfit("building the assets needs root", hint="run as root")
    mask = os.umask(0o022)
    try:
        with store.locked(place, report), store.scratch(place) as working:
            yield working
    except OSError as error:
        raise HostUnfit(
            f"cannot build the assets in {place}: {error}", hint="check the disk and its free space"
        ) from error
    finally:
        os.umask(mask)


def _make_part(
    place: Path, working: Path, *, archive: mmdebstrap.Archive, report: Report
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
        store.install(target, final)
    return _Source(parts.read(final), resolved)


def _make_assets(place: Path, working: Path, *, source: _Source, report: Report) -> store.Assets:
    directory = store.part_directory(place, source.part.digest)
    report("building the initrd")
    guest = directory / parts.GUEST_ROOT
    made = initrd.build(guest, source.part.kernel_release)
    target = working / "assets"
    target.mkdir()
    (target / store.INITRD).write_bytes(made.data)
    demo.make(guest / initrd.BUSYBOX, target / store.DEMO_IMAGE)
    _link(target, source.part.digest)
    key = _key(source.part, target)
    store.install(target, place / key)
    manifest = _manifest(place, key, source=source, made=made)
    store.activate(place, manifest, working)
    store.prune(place)
    report(f"assets {key[:12]} are in force: kernel {manifest.kernel_release}, "
           f"initrd {len(made.data) / 1e6:.1f} MB")  # fmt: skip
    return store.describe(place, manifest)


def _link(target: Path, part: str) -> None:
    """Links for people: the programs use the part's own paths."""
    for name in (parts.TOOL_ROOT, parts.VMLINUX, parts.BZIMAGE):
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
        packages=source.packages,
        files=files,
    )
