"""A data root of a test's own whose assets or templates are damaged, and what is then to be read.

Its files are links to the usual ones: replace a file, never write into it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final


def copied(data_root: Path, place: Path) -> None:
    """Make the data root `place`, with the assets and templates of `data_root`."""
    for name in ("assets", "templates"):
        shutil.copytree(data_root / name, place / name, symlinks=True, copy_function=os.link)
    shutil.copy(data_root / "facts.json", place / "facts.json")


def current(data_root: Path) -> Path:
    """The assets in force."""
    return Path(os.path.realpath(data_root / "assets/current"))


def replace(path: Path, data: bytes) -> bytes:
    """Put a new file where `path` was, as old as that; what was in it."""
    path = Path(os.path.realpath(path))
    found, before = path.stat(), path.read_bytes()
    path.unlink()
    path.write_bytes(data)
    path.chmod(found.st_mode & 0o7777)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    return before


def cut_short(path: Path) -> None:
    """Take the last byte away."""
    replace(path, path.read_bytes()[:-1])


def blank_states(data_root: Path) -> None:
    """Let every template's device state be nothing that can be loaded, of the same length."""
    for template in (data_root / "templates").glob("[0-9a-f]*"):
        replace(template / "state", bytes((template / "state").stat().st_size))


@dataclass(frozen=True, slots=True)
class Damage:
    """What is done to a data root, the complaint and its hint.

    `lasts`: it has to be repaired; else the next start finds it repaired.
    """

    name: str
    strike: Callable[[Path], None]
    said: str
    hint: str
    lasts: bool = True


DAMAGES: Final = (
    Damage(
        "assets",
        lambda root: cut_short(current(root) / "vmlinux"),
        "/vmlinux",
        "run: enclos assets build",
    ),
    Damage(
        "manifest",
        lambda root: cut_short(current(root) / "manifest.json"),
        "are of another version or damaged",
        "run: enclos assets build",
    ),
    Damage("template", blank_states, "", "its template is now removed: try again", lasts=False),
)
