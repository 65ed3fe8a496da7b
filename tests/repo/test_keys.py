"""Keys, each held by one file: processes, libc, the environment, dataclasses, the state root."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from tests.repo import tree

PROCESS: Final = "linux/process.py"
LIBC: Final = "linux/libc.py"
ENVIRONMENT: Final = "config/load.py"
STORE: Final = "state/store.py"
STRUCTS: Final = "structs.py"
AGENT: Final = frozenset({"guest"})
"""The agent is a program of another machine: it spawns there by itself, below a /run of its own."""
ABOUT_THE_GUEST: Final = frozenset({"wire/places.py"})
"""Files whose paths are the guest's."""

SPAWNERS: Final = frozenset(
    "asyncio.create_subprocess_exec asyncio.create_subprocess_shell asyncio.subprocess os.popen "
    "os.posix_spawn os.posix_spawnp os.spawnl os.spawnle os.spawnlp os.spawnv os.spawnve "
    "os.spawnvp os.startfile os.system pty.spawn".split()
)
ENVIRONMENTAL: Final = frozenset(
    "os.environ os.environb os.getenv os.getenvb os.path.expanduser os.path.expandvars "
    "os.putenv os.unsetenv Path.home shutil.get_terminal_size".split()
)
WRITERS: Final = frozenset(
    "os.chmod os.chown os.fchmod os.ftruncate os.link os.makedirs os.mkdir os.mkfifo os.mknod "
    "os.remove os.removedirs os.rename os.renames os.replace os.rmdir os.symlink os.truncate "
    "os.unlink os.write shutil.copy shutil.copyfile shutil.copytree shutil.move shutil.rmtree "
    "tempfile.mkdtemp tempfile.mkstemp tempfile.NamedTemporaryFile".split()
)
WRITING_METHODS: Final = frozenset(
    "chmod hardlink_to mkdir rmdir symlink_to touch unlink write_bytes write_text".split()
)
WRITING_FLAGS: Final = frozenset({"O_WRONLY", "O_RDWR", "O_CREAT", "O_APPEND", "O_TRUNC"})
ROOTS: Final = ("/run/enclos", "/var/lib/enclos")


def test_one_file_imports_subprocess() -> None:
    assert _importers("subprocess", "multiprocessing") <= {PROCESS}


def test_one_file_imports_ctypes() -> None:
    assert _importers("ctypes", "_ctypes") <= {LIBC}


def test_nothing_else_starts_processes() -> None:
    assert not _uses(SPAWNERS, but=PROCESS)


def test_one_file_reads_the_environment() -> None:
    assert not _uses(ENVIRONMENTAL, but=ENVIRONMENT)


def test_one_file_makes_dataclasses() -> None:
    assert not _uses(frozenset({"dataclasses.dataclass"}), but=STRUCTS)


def test_one_file_of_the_state_room_writes() -> None:
    rooms = [module for module in tree.inside({"state"}) if module.place != STORE]
    assert not [found for module in rooms for found in writes(module)]


def test_roots_are_named_by_the_settings_only() -> None:
    """Whoever spells a root out would get past the settings and past the state room."""
    found = [
        tree.at(module, node, node.value)
        for module in tree.modules()
        if module.room not in {"config", *AGENT} and module.place not in ABOUT_THE_GUEST
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value.startswith(ROOTS)
    ]
    assert not found


def _importers(*names: str) -> set[str]:
    return {
        module.place
        for module in tree.modules()
        for one in tree.imports(module)
        if one.module.partition(".")[0] in names
    }


def _uses(names: frozenset[str], *, but: str) -> list[str]:
    exempt = AGENT if names is SPAWNERS else frozenset[str]()
    holders = [m for m in tree.modules() if m.place != but and m.room not in exempt]
    return [found for module in holders for found in uses(module, names)]


def uses(module: tree.Module, names: frozenset[str]) -> list[str]:
    """Where `module` mentions or imports one of these dotted names."""
    return [*_attribute_uses(module, names), *_imported_names(module, names)]


def _attribute_uses(module: tree.Module, names: frozenset[str]) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and (name := tree.dotted(node)) in names:
            yield tree.at(module, node, name)


def _imported_names(module: tree.Module, names: frozenset[str]) -> Iterator[str]:
    for one in tree.imports(module):
        if f"{one.module}.{one.name}" in names or one.module in names:
            yield f"{module.place}:{one.line}: {one.module}.{one.name}"


def writes(module: tree.Module) -> list[str]:
    """Calls of `module` that write to the file system, as far as names tell."""
    found = uses(module, WRITERS)
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and (what := _writing_call(node)):
            found.append(tree.at(module, node, what))
    return found


def _writing_call(node: ast.Call) -> str:
    name = tree.dotted(node.func)
    if name == "os.open":
        flags = {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)}
        return "os.open for writing" if flags & WRITING_FLAGS else ""
    if name in {"open", "os.fdopen"} or name.endswith(".open"):
        return "open for writing" if any(map(_writing_mode, _texts(node))) else ""
    if isinstance(node.func, ast.Attribute) and node.func.attr in WRITING_METHODS:
        return f".{node.func.attr}()"
    return ""


def _texts(node: ast.Call) -> Iterator[str]:
    for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            yield argument.value


def _writing_mode(text: str) -> bool:
    return len(text) <= 3 and bool(set(text) & set("wax+")) and set(text) <= set("rwaxbt+")
