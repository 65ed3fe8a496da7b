"""Imports go downwards only, and the rooms of two floors do not import their neighbours."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from tests.repo import tree

FLOORS: Final[dict[str, int]] = {
    **dict.fromkeys(("errors", "ids", "log", "structs", "version"), 0),
    **dict.fromkeys(("linux", "oci", "wire"), 1),
    **dict.fromkeys(("config", "tools"), 2),
    **dict.fromkeys(("assets", "plan", "state"), 3),
    **dict.fromkeys(("hypervisor", "network", "storage"), 4),
    "sandbox": 5,
    **dict.fromkeys(("cli", "metrics", "ocicli", "sdk", "shim"), 6),
}
NO_NEIGHBOURS: Final = frozenset({4, 6})
ONLY: Final[dict[str, frozenset[str]]] = {
    "assets": frozenset(room for room, floor in FLOORS.items() if floor <= 2),
    "guest": frozenset({"errors", "ids", "log", "structs", "version", "linux", "oci", "wire"}),
}
"""Rooms whose own list is shorter than what their floor would allow."""


def test_every_room_has_a_floor() -> None:
    rooms = {module.room for module in tree.modules()} - {"", "guest"}
    assert rooms <= FLOORS.keys(), sorted(rooms - FLOORS.keys())


def test_imports_go_downwards() -> None:
    assert not [found for module in tree.modules() for found in violations(module)]


def test_nobody_imports_the_guest() -> None:
    found = [
        f"{module.place}:{one.line}: imports {one.module}"
        for module in tree.modules()
        for one in tree.imports(module)
        if _room(one) == "guest" and module.room != "guest"
    ]
    assert not found


def test_imports_are_absolute() -> None:
    found = [
        tree.at(module, node, "relative import")
        for module in tree.modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert not found


def violations(module: tree.Module) -> Iterator[str]:
    """Imports of `module` that its room may not have."""
    for one in tree.imports(module):
        target = _room(one)
        if target and target != module.room and not _may(module.room, target):
            yield f"{module.place}:{one.line}: {module.room} imports {one.module}"


def _room(one: tree.Import) -> str:
    parts = one.module.split(".")
    if parts[0] != "enclos":
        return ""
    return parts[1] if len(parts) > 1 else one.name


def _may(room: str, target: str) -> bool:
    if room in ONLY:
        return target in ONLY[room]
    if not room or target not in FLOORS:
        return False
    own, other = FLOORS[room], FLOORS[target]
    return other < own or (other == own and own not in NO_NEIGHBOURS)
