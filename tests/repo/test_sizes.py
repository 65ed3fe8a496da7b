"""Sizes stop at 500 lines a file, 60 a function, 18 public methods a class.

What is over 300, 40 or 12 is worth another look: it is listed, and fails nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pytest

from tests.repo import tree


@dataclass(frozen=True, slots=True)
class Limit:
    """Where to look again and where to stop."""

    look: int
    stop: int


FILE: Final = Limit(300, 500)
FUNCTION: Final = Limit(40, 60)
METHODS: Final = Limit(12, 18)


def test_sizes_stop_somewhere(capsys: pytest.CaptureFixture[str]) -> None:
    sized = [entry for module in tree.modules() for entry in _sizes(module)]
    again = sorted(f"{what}: {size}" for what, size, limit in sized if size > limit.look)
    if again:
        with capsys.disabled():
            print("\nworth another look:", *again, sep="\n  ")
    assert not [f"{what}: {size}" for what, size, limit in sized if size > limit.stop]


def test_tests_have_a_size_too() -> None:
    paths = sorted((tree.ROOT / "tests").rglob("*.py"))
    long = [path for path in paths if len(path.read_text().splitlines()) > FILE.stop]
    assert not long


def _sizes(module: tree.Module) -> Iterator[tuple[str, int, Limit]]:
    yield module.place, len(module.text.splitlines()), FILE
    for node in ast.walk(module.tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            yield f"{module.place}:{node.lineno} {node.name}", length, FUNCTION
        elif isinstance(node, ast.ClassDef):
            yield f"{module.place}:{node.lineno} {node.name}", _public_methods(node), METHODS


def _public_methods(node: ast.ClassDef) -> int:
    return sum(
        isinstance(member, (ast.FunctionDef, ast.AsyncFunctionDef))
        and not member.name.startswith("_")
        for member in node.body
    )
