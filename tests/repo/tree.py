"""The source tree as its tests see it: modules, their rooms, and what they import.

Everything is read with `ast`; nothing of the product is imported.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
SOURCE: Final = ROOT / "src"
PACKAGE: Final = SOURCE / "enclos"


@dataclass(frozen=True, slots=True)
class Import:
    """One imported name: `module` is a module if there is one, else what holds `name`."""

    module: str
    name: str
    line: int


@dataclass(frozen=True, slots=True, eq=False)
class Module:
    """One file of the package."""

    path: Path
    name: str
    text: str
    tree: ast.Module

    @property
    def room(self) -> str:
        """The first name below `enclos`: a package or one of the files on floor 0."""
        parts = self.name.split(".")
        return parts[1] if len(parts) > 1 else ""

    @property
    def place(self) -> str:
        """The path as people write it, relative to the package."""
        return self.path.relative_to(PACKAGE).as_posix()

    @property
    def docstring(self) -> str:
        """The module's docstring, or nothing."""
        return ast.get_docstring(self.tree) or ""


@cache
def modules() -> tuple[Module, ...]:
    """Every module of the package, in order of path."""
    return tuple(_read(path) for path in sorted(PACKAGE.rglob("*.py")))


@cache
def by_name() -> dict[str, Module]:
    """Modules by dotted name; packages by the name of their `__init__`."""
    return {module.name: module for module in modules()}


@cache
def imports(module: Module) -> tuple[Import, ...]:
    """Everything `module` imports, inside functions and `TYPE_CHECKING` blocks too."""
    return tuple(_imports(module))


def inside(rooms: frozenset[str] | set[str]) -> Iterator[Module]:
    """Modules of these rooms."""
    return (module for module in modules() if module.room in rooms)


def at(module: Module, node: ast.AST, what: str) -> str:
    """A finding as one line."""
    return f"{module.place}:{getattr(node, 'lineno', 1)}: {what}"


def dotted(node: ast.expr) -> str:
    """`a.b.c` of a chain of names, or nothing for any other expression."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attr):
            head = dotted(value)
            return f"{head}.{attr}" if head else ""
        case _:
            return ""


def parse(text: str, place: str) -> Module:
    """A module that is not in the tree, for the tests of these tests."""
    path = PACKAGE / place
    name = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
    return Module(path, name, text, ast.parse(text))


def _read(path: Path) -> Module:
    parts = list(path.relative_to(SOURCE).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    text = path.read_text()
    return Module(path, ".".join(parts), text, ast.parse(text, str(path)))


def _imports(module: Module) -> Iterator[Import]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, "", node.lineno)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(module, node)
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                found = Import(whole, "", node.lineno) if _is_module(whole) else None
                yield found or Import(base, alias.name, node.lineno)


def _absolute(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = module.name if module.path.name == "__init__.py" else module.name.rpartition(".")[0]
    for _ in range(node.level - 1):
        package = package.rpartition(".")[0]
    return f"{package}.{node.module}" if node.module else package


def _is_module(name: str) -> bool:
    if not name.startswith("enclos."):
        return False
    stem = SOURCE.joinpath(*name.split("."))
    return stem.with_suffix(".py").is_file() or (stem / "__init__.py").is_file()
