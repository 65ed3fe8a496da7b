"""Fetches the Debian packages that all assets are made of, and says which they were."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from enclos.assets.store import Package
from enclos.tools import mmdebstrap

INCLUDED: Final = (
    "base-files",
    "busybox-static",
    "crun",
    "linux-image-cloud-amd64",
    "passt",
    "python3",
    "qemu-system-x86",
    "virtiofsd",
)


def fetch(
    target: Path, archive: mmdebstrap.Archive, *, report: Callable[[str], None]
) -> dict[str, Package]:
    """Unpack the packages into the new directory `target`; the .deb files are not kept."""
    mmdebstrap.extract(target, archive, packages=INCLUDED, report=report)
    found: dict[str, Package] = {}
    for deb in sorted((target / mmdebstrap.CACHE).glob("*.deb")):
        name, version, _architecture = deb.stem.split("_")
        with deb.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        found[name] = Package(unquote(version), digest)
        deb.unlink()
    return found
