"""The pages tell the truth where it can be checked: links lead somewhere, named files exist,
promises name their test, decision records have their parts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from tests.repo import markdown, tree

DOCS: Final = tree.ROOT / "docs"
PAGES: Final = tuple(markdown.pages())


def _relative(page: Path) -> str:
    return page.relative_to(tree.ROOT).as_posix()


NEEDED: Final = (
    "README.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "docs/architecture.md",
    "docs/lifecycle.md",
    "docs/protocol.md",
    "docs/threat-model.md",
    "docs/promises.md",
    "docs/decisions/README.md",
)
RECORD_PARTS: Final = ("Question", "Decision", "Why", "What follows", "What would overturn it")
STATUS: Final = re.compile(r"^Status: (in force|replaced by \d{4}), \d{4}-\d\d-\d\d$", re.MULTILINE)
PROOF_COLUMN: Final = "Shown by"
PATH_LIKE: Final = re.compile(
    r"(?:src|tests|docs|packaging)/[\w./-]*|[\w-]+/[\w./-]*\.(?:py|md|sh)"
)
"""Directories from the root of the tree; files also from the root of the package."""


@pytest.mark.parametrize("name", NEEDED)
def test_the_page_is_there(name: str) -> None:
    assert (tree.ROOT / name).read_text().strip()


@pytest.mark.parametrize("page", PAGES, ids=_relative)
def test_links_lead_somewhere(page: Path) -> None:
    dead = [link for link in markdown.links(page.read_text()) if not _leads(page, link)]
    assert not dead


@pytest.mark.parametrize("page", PAGES, ids=_relative)
def test_files_named_in_the_text_exist(page: Path) -> None:
    named = {
        match.group().rstrip(".")
        for span in markdown.code_spans(page.read_text())
        if (match := PATH_LIKE.fullmatch(span.partition("::")[0]))
    }
    assert not sorted(name for name in named if not _exists(name))


def test_the_architecture_page_names_every_room() -> None:
    text = (DOCS / "architecture.md").read_text()
    rooms = {module.room for module in tree.modules()} - {""}
    assert not sorted(room for room in rooms if f"`{room}" not in text and f"{room}/" not in text)


def test_promises_name_their_test() -> None:
    rows = 0
    for header, body in markdown.tables((DOCS / "promises.md").read_text()):
        assert PROOF_COLUMN in header, f"table {header} has no column {PROOF_COLUMN!r}"
        for row in body:
            proofs = markdown.code_spans(row[header.index(PROOF_COLUMN)])
            assert proofs, f"no test named: {row[0]}"
            assert all(map(_is_test, proofs)), f"no such test: {proofs}"
            rows += 1
    assert rows


def test_records_have_their_parts() -> None:
    records = [path for path in sorted((DOCS / "decisions").glob("*.md")) if path.stem != "README"]
    assert records
    for path in records:
        text = path.read_text()
        titles = markdown.headings(text)
        assert re.fullmatch(r"\d{4}-[a-z0-9-]+", path.stem), path.name
        assert titles[0].startswith(f"{path.stem[:4]}. "), f"{path.name}: {titles[0]}"
        assert tuple(titles[1:]) == RECORD_PARTS, f"{path.name}: {titles[1:]}"
        assert STATUS.search(text), f"{path.name} has no status line"


def test_records_are_numbered_in_a_row_and_listed() -> None:
    names = sorted(path.name for path in (DOCS / "decisions").glob("[0-9]*.md"))
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
    listed = markdown.links((DOCS / "decisions" / "README.md").read_text())
    assert sorted(link for link in listed if re.match(r"\d{4}-", link)) == names


def test_every_dependency_has_a_record() -> None:
    project = (tree.ROOT / "pyproject.toml").read_text()
    match = re.search(r"^dependencies = \[(.*?)\]", project, re.MULTILINE | re.DOTALL)
    assert match
    records = "".join(path.read_text() for path in (DOCS / "decisions").glob("[0-9]*.md"))
    for requirement in re.findall(r'"([^"]+)"', match.group(1)):
        name, operator, version = re.split(r"([~=<>!]=?)", requirement, maxsplit=1)
        assert operator in {"~=", "=="}, f"{requirement} is not pinned"
        assert version
        assert f"`{name}`" in records, f"no decision record names `{name}`"


def _leads(page: Path, link: str) -> bool:
    if re.match(r"[a-z]+:", link):
        return True
    path, _, fragment = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.exists():
        return False
    if not fragment or target.suffix != ".md":
        return True
    return fragment in map(markdown.anchor, markdown.headings(target.read_text()))


def _exists(name: str) -> bool:
    return any((base / name).exists() for base in (tree.ROOT, tree.PACKAGE, DOCS))


def _is_test(proof: str) -> bool:
    """`tests/…/file.py` or `tests/…/file.py::name`, where `name` is defined in the file."""
    place, _, name = proof.partition("::")
    path = tree.ROOT / place
    if not place.startswith("tests/") or not path.is_file():
        return False
    return not name or re.search(rf"(def|class) {re.escape(name)}\b", path.read_text()) is not None
