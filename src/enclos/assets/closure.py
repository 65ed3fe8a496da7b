"""Finds the source files of the agent: everything `enclos.guest.main` imports, and its imports'.

By reading the sources, never by importing them: they are the guest's, not ours to run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from enclos.assets.agent import ENTRY, PACKAGE_ROOT
from enclos.errors import HostUnfit
from enclos.structs import dataclass


@dataclass(frozen=True, slots=True)
class Closure:
    """The agent's files relative to the package root, and what else they import."""

    files: tuple[str, ...]
    imports: tuple[str, ...]


def find(root: Path = PACKAGE_ROOT, entry: str = ENTRY) -> Closure:
    """Follow the imports of module `entry`, those inside functions as well, below `root`."""
    if _file_of(root, entry) is None:
        raise HostUnfit(f"no module {entry} below {root}", hint="install Enclos again")
    files: set[str] = set()
    foreign: set[str] = set()
    waiting = [entry]
    while waiting:
        name = waiting.pop()
        file = _file_of(root, name)
        if file is None:
            foreign.update([] if name.startswith("enclos") else [name])
        elif file not in files:
            files.add(file)
            waiting.extend(_packages_of(name))
            waiting.extend(_imports(ast.parse((root / file).read_bytes())))
    return Closure(tuple(sorted(files)), tuple(sorted(foreign)))


def _file_of(root: Path, module: str) -> str | None:
    if module.partition(".")[0] != "enclos":
        return None
    stem = module.replace(".", "/")
    for file in (f"{stem}/__init__.py", f"{stem}.py"):
        if (root / file).is_file():
            return file
    return None


def _packages_of(module: str) -> Iterator[str]:
    while "." in module:
        module = module.rpartition(".")[0]
        yield module


def _imports(tree: ast.AST) -> Iterator[str]:
    """Names that may be modules: of `from a import b` both `a` and `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            if node.module.partition(".")[0] == "enclos":
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
