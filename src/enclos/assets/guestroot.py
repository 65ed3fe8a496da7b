"""Makes the guest root: what an initrd can be built from again without the network.

It is kept beside the tool root, so that a change of the agent's code costs seconds. It holds
the whole standard library: what the agent will import tomorrow is not known today.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from enclos.assets import initrd, modules, python, selection

MODULES: Final = "usr/lib/modules"
_UNWANTED: Final = frozenset(
    {"__pycache__", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "test", "tkinter", "venv"}
)


def make(root: Path, target: Path, release: str) -> None:
    """Fill the new directory `target` from the unpacked packages in `root`."""
    extensions = [name for name in _library(root) if name.endswith(".so")]
    selection.take(root, target, (*initrd.PROGRAMS, *_library(root), *_modules(root, release)))
    selection.take_libraries(root, target, (*initrd.DYNAMIC, *extensions))


def _library(root: Path) -> Iterator[str]:
    base = root / python.LIBRARY
    for path in sorted(base.rglob("*")):
        inside = path.relative_to(base).parts
        if path.is_symlink():
            continue  # into /etc: the host's settings, no part of the library
        if path.suffix in {".py", ".so"} and not _UNWANTED.intersection(inside):
            yield path.relative_to(root).as_posix()


def _modules(root: Path, release: str) -> Iterator[str]:
    directory = root / MODULES / release
    chosen = modules.choose(directory)
    for module in (*chosen.boot, *chosen.later):
        yield f"{MODULES}/{release}/{module.file}.xz"
