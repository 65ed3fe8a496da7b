"""The files themselves: docstrings first, empty package files, no leftovers, no one's own paths."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from tests.repo import tree

LEFTOVERS: Final = re.compile(r"\b(T[O]DO|F[I]XME|X[X]X|H[A]CK)\b")
CODE_LIKE: Final = re.compile(r"[A-Za-z_][\w.\[\]]*\s*[=(]|(return|import|from|if|for|while)\b")
OWN_PATHS: Final = re.compile(
    r"(?<![\w./-])/(home/\w+|Users/\w+|work/\w+/\w|root/(src|work|enclos)|tmp/exp)"
)
TEXT_SUFFIXES: Final = frozenset(
    {"", ".cfg", ".conf", ".json", ".md", ".py", ".service", ".sh", ".socket", ".toml", ".yaml"}
)
NOT_OURS: Final = frozenset({".git", ".cache", ".venv", "build", "__pycache__", "LICENSE"})


def test_package_files_are_empty() -> None:
    allowed = {"sdk/__init__.py"}
    full = [
        module.place
        for module in tree.modules()
        if module.path.name == "__init__.py" and module.text and module.place not in allowed
    ]
    assert not full


def test_every_folder_is_a_package() -> None:
    missing = sorted(
        {
            folder.relative_to(tree.PACKAGE).as_posix()
            for module in tree.modules()
            for folder in (module.path.parent,)
            if not (folder / "__init__.py").is_file()
        }
    )
    assert not missing


def test_modules_open_with_their_purpose() -> None:
    silent = [
        module.place
        for module in tree.modules()
        if module.path.name != "__init__.py" and not module.docstring
    ]
    assert not silent


def test_folders_and_files_are_named_for_the_domain() -> None:
    vague = {"utils", "util", "helpers", "helper", "manager", "common", "misc"}
    assert not [module.place for module in tree.modules() if vague & set(module.name.split("."))]


def test_no_leftovers() -> None:
    found = [
        f"{path.relative_to(tree.ROOT)}:{number}: {line.strip()[:80]}"
        for path in _texts()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if LEFTOVERS.search(line)
    ]
    assert not found


def test_no_commented_out_code() -> None:
    found = [
        f"{path.relative_to(tree.ROOT)}:{number}: {comment}"
        for path in _texts()
        if path.suffix == ".py"
        for number, comment in _comments(path)
        if is_code(comment)
    ]
    assert not found


def test_no_paths_of_one_machine() -> None:
    found = [
        f"{path.relative_to(tree.ROOT)}:{number}: {match.group()}"
        for path in _texts()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        for match in OWN_PATHS.finditer(line)
        if path.name != Path(__file__).name
    ]
    assert not found


def test_no_pass_in_except() -> None:
    found = [
        tree.at(module, node, "except … pass")
        for module in tree.modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler)
        and len(node.body) == 1
        and isinstance(node.body[0], ast.Pass)
    ]
    assert not found


@cache
def _texts() -> tuple[Path, ...]:
    return tuple(_walk(tree.ROOT))


def _walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        hidden = path.name.startswith(".") and path.name not in {".ci", ".gitignore"}
        if hidden or path.name in NOT_OURS or path.name.endswith(".egg-info"):
            continue
        if path.is_dir():
            yield from _walk(path)
        elif path.suffix in TEXT_SUFFIXES:
            yield path


def _comments(path: Path) -> Iterator[tuple[int, str]]:
    with io.StringIO(path.read_text()) as text:
        for token in tokenize.generate_tokens(text.readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string.lstrip("# ").rstrip()


def is_code(comment: str) -> bool:
    """Whether a comment parses as a statement that does something."""
    if not CODE_LIKE.match(comment):
        return False
    try:
        body = ast.parse(comment).body
    except SyntaxError:
        return False
    return any(not isinstance(node, ast.Expr) or isinstance(node.value, ast.Call) for node in body)
