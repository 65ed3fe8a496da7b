"""Nothing is left out of the comparison with runc and crun silently.

Every verb, every flag and every member of the specification is in a row of the tables, or in
the page of differences, with its reason.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator
from typing import Any, Final

from enclos.oci import codec
from enclos.oci.types import Spec
from enclos.ocicli.table import GLOBAL, VERBS
from tests.conformance import flags, stories, test_fields, test_hooks
from tests.conformance.rows import members
from tests.conformance.steps import used
from tests.repo import markdown, tree

PAGES: Final = tuple(tree.ROOT / "docs" / name for name in ("differences.md", "limits.md"))
HEADER: Final = ["Difference", "Concerns", "Why, and what to do"]
LIMITS: Final = "tests/vm/test_oci_limits.py"
ELSEWHERE: Final = {
    "linux.resources.blockIO": LIMITS,
    "linux.resources.cpu.cpus": LIMITS,
    "linux.resources.cpu.mems": LIMITS,
    "linux.resources.memory.checkBeforeUpdate": LIMITS,
    "linux.cgroupsPath": "tests/conformance/test_fields.py",
    "root.path": "tests/conformance/test_stories.py",
    "mounts.uidMappings": "tests/conformance/test_mounts.py",
    "mounts.gidMappings": "tests/conformance/test_mounts.py",
    "process.terminal": "tests/conformance/test_terminals.py",
    "process.consoleSize": "tests/conformance/test_terminals.py",
}
"""Members whose rows are functions, by the file they are in."""


def _entries() -> Iterator[tuple[str, list[str]]]:
    """Title and what it is about, of every difference."""
    for page in PAGES:
        tables = [body for header, body in markdown.tables(page.read_text()) if header == HEADER]
        assert tables, page
        for row in (row for body in tables for row in body):
            yield row[0].replace("`", ""), markdown.code_spans(row[1])


def _fields(kind: Any = Spec, prefix: str = "") -> Iterator[str]:
    """Every member of the specification by its path."""
    for name, hint in codec.schema(kind).values():
        path = f"{prefix}.{name}" if prefix else name
        inner = next(filter(dataclasses.is_dataclass, _classes(hint)), None)
        if inner is not None:
            yield from _fields(inner, path)
        else:
            yield path


def _classes(hint: Any) -> Iterator[Any]:
    """The types in a hint, but for those below names that a user makes up."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is dict or origin is typing.Annotated:
        return
    if not arguments:
        yield hint
    for one in arguments:
        yield from _classes(one)


def _flags() -> set[tuple[str, str]]:
    """Every flag with its verb; global ones have none."""
    verbs = {(verb.name, flag.name) for verb in VERBS for flag in verb.flags}
    return verbs | {("", f"--{flag.name}") for flag in GLOBAL}


def _below(path: str, known: set[str]) -> bool:
    parts = path.split(".")
    return any(".".join(parts[:length]) in known for length in range(1, len(parts) + 1))


def test_every_member_of_the_specification_is_compared_or_listed() -> None:
    changes = [row.change for row in test_fields.ROWS]
    changes += [story.change for story in stories.STORIES]
    seen = {path for change in changes for path in members(change)}
    hooks = {f"hooks.{moment}" for moment in (*test_hooks.RUNTIMES, *test_hooks.CONTAINERS)}
    listed = {name for _, concerns in _entries() for name in concerns}
    known = seen | hooks | listed | ELSEWHERE.keys()
    keyed = {path for path in known if "." in path}
    left = [
        path
        for path in _fields()
        if not _below(path, known) and not any(one.startswith(f"{path}.") for one in keyed)
    ]
    assert not left


def test_every_verb_is_told_or_listed() -> None:
    told = {used(step.words)[0] for story in stories.STORIES for step in story.steps}
    listed = {name for _, concerns in _entries() for name in concerns}
    assert not {verb.name for verb in VERBS} - told - listed


def test_every_flag_is_asked_or_listed() -> None:
    asked = {(verb.name, flag.name) for verb, flag, _ in flags.cases()}
    for story in stories.STORIES:
        for step in story.steps:
            verb, names = used(step.words)
            asked |= {("" if name.startswith("--") else verb, name) for name in names}
    listed = {name for _, concerns in _entries() for name in concerns}
    left = [
        f"{verb} --{name}" if verb else name
        for verb, name in sorted(_flags() - asked)
        if {verb, name, f"{verb} --{name}"}.isdisjoint(listed)
    ]
    assert not left


def test_differences_of_rows_are_on_the_page() -> None:
    titles = {title for title, _ in _entries()}
    named = {row.differs for row in test_fields.ROWS}
    named |= {step.differs for story in stories.STORIES for step in story.steps}
    assert not named - titles - {""}


def test_the_page_is_about_things_that_exist() -> None:
    fields = set(_fields())
    verbs = {verb.name for verb in VERBS}
    flag_names = {f"{verb} --{name}" if verb else name for verb, name in _flags()}
    for title, concerns in _entries():
        for name in concerns:
            known = name in verbs | flag_names or any(
                one == name or one.startswith(f"{name}.") for one in fields
            )
            assert known, f"{title}: {name}"


def test_members_have_their_files() -> None:
    for place in ELSEWHERE.values():
        assert (tree.ROOT / place).is_file()
