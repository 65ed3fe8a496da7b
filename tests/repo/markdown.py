"""The little of Markdown that the tests of the pages need: tables, headings, links, paths."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.repo import tree

_LINK: Final = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_CODE: Final = re.compile(r"`([^`\n]+)`")
_FENCE: Final = re.compile(r"^```.*?^```\s*?$", re.MULTILINE | re.DOTALL)
_HEADING: Final = re.compile(r"^#{1,6} +(.*?) *$", re.MULTILINE)


def pages() -> Iterator[Path]:
    """Every page of the tree."""
    yield from sorted(tree.ROOT.glob("*.md"))
    for folder in ("docs", "packaging", "tests"):
        yield from sorted((tree.ROOT / folder).rglob("*.md"))


def prose(text: str) -> str:
    """`text` without its fenced blocks."""
    return _FENCE.sub("", text)


def headings(text: str) -> list[str]:
    """The titles of all levels, in order."""
    return _HEADING.findall(prose(text))


def links(text: str) -> list[str]:
    """Targets of the links, images apart."""
    return _LINK.findall(prose(text))


def code_spans(text: str) -> list[str]:
    """What stands between single back quotes."""
    return _CODE.findall(prose(text))


def anchor(title: str) -> str:
    """The fragment by which a heading is linked to."""
    kept = re.sub(r"[^\w\- ]", "", title.lower().replace("`", ""))
    return kept.strip().replace(" ", "-")


def tables(text: str) -> Iterator[tuple[list[str], list[list[str]]]]:
    """Header cells and body rows of each table."""
    block: list[list[str]] = []
    for line in (*prose(text).splitlines(), ""):
        if line.strip().startswith("|"):
            block.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]])
        elif len(block) > 2:
            yield block[0], block[2:]
            block = []
        else:
            block = []
