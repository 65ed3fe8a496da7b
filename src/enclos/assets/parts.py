"""Makes a part: everything of the assets that comes from Debian and not from our own sources.

Named by its contents, shared by all assets built on it: a tool root, a kernel in both forms,
and the guest root from which initrds are made.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from enclos.assets import contents, guestroot, kernel, toolroot
from enclos.assets.store import BZIMAGE, GUEST_ROOT, TOOL_ROOT, VMLINUX
from enclos.structs import dataclass
from enclos.wire import codec

_TABLE: Final = "contents.json"


@dataclass(frozen=True, slots=True)
class Part:
    """A finished part; `files` holds every file in it."""

    digest: str
    kernel_release: str
    files: dict[str, contents.Record]


def make(root: Path, target: Path) -> Part:
    """Fill the new directory `target` from the unpacked packages in `root`."""
    release = kernel.release(root / guestroot.MODULES)
    toolroot.make(root, target / TOOL_ROOT)
    guestroot.make(root, target / GUEST_ROOT, release)
    bzimage = (root / "boot" / f"vmlinuz-{release}").read_bytes()
    (target / BZIMAGE).write_bytes(bzimage)
    (target / VMLINUX).write_bytes(kernel.unpack(bzimage))
    files = contents.describe(target)
    part = Part(contents.digest(files), release, files)
    (target / _TABLE).write_bytes(codec.encode(part))
    return part


def read(directory: Path) -> Part:
    """The record of a part; raises `OSError` or `CodecError` if it is gone or damaged."""
    return codec.decode(Part, (directory / _TABLE).read_bytes())


def is_whole(directory: Path) -> bool:
    """Whether a part is there with every byte as it was made."""
    try:
        part = read(directory)
    except (OSError, codec.CodecError):
        return False
    return not any(
        contents.is_damaged(directory / name, record) for name, record in part.files.items()
    )
