"""Pure rooms and files take what they need as arguments: they think, they neither look nor act.

Pure are `oci/`, `plan/` and every file whose docstring says PURE.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from tests.repo import tree

PURE_ROOMS: Final = frozenset({"oci", "plan"})
PURE_FILES: Final = frozenset({"hypervisor/qemu/argv.py"})
FORBIDDEN_MODULES: Final = frozenset(
    "_socket asyncio builtins ctypes fcntl glob io logging mmap multiprocessing platform pty "
    "random resource secrets select selectors shutil signal socket sqlite3 ssl subprocess "
    "tempfile termios threading time tty urllib uuid".split()
)
FORBIDDEN_ROOMS: Final = frozenset({"linux", "log", "tools", "state", "assets"})
PATHS_OF_OS: Final = frozenset({"PathLike", "fsdecode", "fsencode", "fspath", "path", "sep"})
FORBIDDEN_CALLS: Final = frozenset({"open", "print", "input", "exec", "eval", "__import__"})
FORBIDDEN_METHODS: Final = frozenset(
    "absolute chmod cwd exists glob hardlink_to home is_dir is_file is_mount is_socket is_symlink "
    "iterdir lstat mkdir now open read_bytes read_text readlink resolve rglob rmdir samefile stat "
    "symlink_to today touch unlink utcnow write_bytes write_text".split()
)


def test_the_pure_neither_look_nor_act() -> None:
    assert not [finding for module in _pure() for finding in findings(module)]


def test_the_pure_files_say_so() -> None:
    marked = {module.place for module in tree.modules() if _marked(module)}
    assert not sorted(PURE_FILES - marked)


def _pure() -> Iterator[tree.Module]:
    for module in tree.modules():
        if module.room in PURE_ROOMS or module.place in PURE_FILES or _marked(module):
            yield module


def _marked(module: tree.Module) -> bool:
    return bool(re.search(r"\bPURE\b", module.docstring))


def findings(module: tree.Module) -> Iterator[str]:
    """What a pure module does that it must not."""
    for one in tree.imports(module):
        if reason := _forbidden_import(one):
            yield f"{module.place}:{one.line}: {reason}"
    for node in ast.walk(module.tree):
        if reason := _forbidden_use(node):
            yield tree.at(module, node, reason)


def _forbidden_import(one: tree.Import) -> str:
    top, _, rest = one.module.partition(".")
    if top == "os":
        allowed = rest == "path" or not one.name or one.name in PATHS_OF_OS
        return "" if allowed else f"os beyond paths: {one.name}"
    if top == "enclos" and (rest.partition(".")[0] or one.name) in FORBIDDEN_ROOMS:
        return f"an impure room: {one.module}"
    return f"imports {one.module}" if top in FORBIDDEN_MODULES else ""


def _forbidden_use(node: ast.AST) -> str:
    match node:
        case ast.Call(func=ast.Name(id=name)) if name in FORBIDDEN_CALLS:
            return f"calls {name}"
        case ast.Call(func=ast.Attribute(attr=attr)) if attr in FORBIDDEN_METHODS:
            return f"calls .{attr}()"
        case ast.Attribute(value=ast.Name(id="os"), attr=attr) if attr not in PATHS_OF_OS:
            return f"os beyond paths: os.{attr}"
        case ast.alias(name="os", asname=str()):
            return "os under another name"
        case _:
            return ""
