"""Every class of the error tree has an answer for the outside: an exit code and a ttrpc code."""

from __future__ import annotations

import ast
from typing import Final

from enclos import errors
from tests.repo import tree

BUILT_IN: Final = frozenset({"Exception", "BaseException", "RuntimeError", "OSError", "ValueError"})


def test_every_error_of_the_tree_is_in_both_tables() -> None:
    declared = {
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.EnclosError)
    }
    assert declared == set(errors.EXIT_CODES)
    assert declared == set(errors.TTRPC_CODES)


def test_codes_are_possible() -> None:
    assert set(errors.EXIT_CODES.values()) == {125, 126, 127}
    assert all(1 <= code <= 16 for code in errors.TTRPC_CODES.values())


def test_every_other_exception_descends_from_the_tree() -> None:
    """A class elsewhere is a special case of the tree, or something that never leaves its file."""
    found = [
        tree.at(module, node, f"class {node.name}")
        for module in tree.modules()
        if module.place != "errors.py"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef) and _is_exception(node)
    ]
    assert not found


def _is_exception(node: ast.ClassDef) -> bool:
    bases = {tree.dotted(base) for base in node.bases}
    return bool(bases & BUILT_IN) and not node.name.startswith("_")
