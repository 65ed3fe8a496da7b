"""The agent's closure: everything that can be imported in the guest is known and small.

The initrd holds what the agent imports and nothing else, so a new module there is memory in
every template and time in every cold boot. It is added to the list on purpose or not at all.
"""

from __future__ import annotations

import ast
import sys
from typing import Final

from tests.repo import tree

ENTRY: Final = "enclos.guest.main"
STANDARD: Final = frozenset(
    "__future__ _thread collections ctypes dataclasses errno fcntl functools gc heapq itertools "
    "json mmap os re resource select signal socket stat struct sys termios time traceback types "
    "typing".split()
)
"""What the agent and the rooms it uses may import of the standard library."""


def test_the_guest_needs_the_standard_library_only() -> None:
    foreign = [
        f"{module.place}:{one.line}: {one.module}"
        for module in _closure()
        for one in tree.imports(module)
        if not one.module.startswith("enclos")
        and one.module.partition(".")[0] not in sys.stdlib_module_names
    ]
    assert not foreign


def test_what_the_guest_needs_is_on_the_list() -> None:
    unlisted = sorted(
        {
            f"{one.module} (by {module.place})"
            for module in _closure()
            for one in tree.imports(module)
            if not one.module.startswith("enclos") and one.module.partition(".")[0] not in STANDARD
        }
    )
    assert not unlisted


def test_the_list_holds_no_more_than_is_needed() -> None:
    used = {one.module.partition(".")[0] for module in _closure() for one in tree.imports(module)}
    assert not sorted(STANDARD - used), "take these off the list"


def test_every_guest_module_is_reached() -> None:
    """A file that `main` never reaches is not in the initrd: it must not be in the room."""
    names = {module.name for module in _closure()}
    unreached = [module.place for module in tree.inside({"guest"}) if module.name not in names]
    assert not unreached


def test_guest_rooms_parse_as_python_311() -> None:
    for module in _closure():
        ast.parse(module.text, str(module.path), feature_version=(3, 11))


def _closure() -> list[tree.Module]:
    known = tree.by_name()
    assert ENTRY in known, f"no module {ENTRY}"
    seen: dict[str, tree.Module] = {}
    waiting = [ENTRY]
    while waiting:
        name = waiting.pop()
        if name in seen or name not in known:
            continue
        seen[name] = known[name]
        waiting.extend(one.module for one in tree.imports(known[name]))
        waiting.append(name.rpartition(".")[0])
    return list(seen.values())
