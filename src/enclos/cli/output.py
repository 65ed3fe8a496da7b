"""What goes to stdout: data only, as tables, JSON lines or by a template.

A listing is a sequence of rows; each is a mapping from docker's names of fields to values. Off a
terminal nothing is different: there is no colour to leave out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from enclos.structs import dataclass

_GAP: Final = 3

Row = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a table: field names with their headings."""

    headings: Mapping[str, str]
    shown: tuple[str, ...]
    """Fields of the default table; all of `headings` can be used in templates."""


def write(text: str) -> None:
    """Text to stdout, all of it; raises `OSError`."""
    write_bytes(text.encode("utf-8", "surrogateescape"))


def write_bytes(data: bytes, descriptor: int = 1) -> None:
    """Bytes to a descriptor, all of them; raises `OSError`."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def listing(rows: Sequence[Row], columns: Columns, how: str) -> None:
    """Print rows as `how` says: "" or table, json (a line each), or a template."""
    write(rendered(rows, columns, how))


def rendered(rows: Sequence[Row], columns: Columns, how: str) -> str:
    """The text that `listing` prints; raises `InvalidRequest` for a bad template."""
    if how in {"", "table"}:
        return table([_texts(row, columns.shown) for row in rows],
                     [columns.headings[name] for name in columns.shown])  # fmt: skip
    if how == "json":
        return "".join(f"{json_line(row)}\n" for row in rows)
    from enclos.cli import gotemplate

    headed = how.startswith("table ")
    template = gotemplate.parse(_unescaped(how.removeprefix("table ")))
    lines = [template.render(row) for row in rows]
    if not headed:
        return "".join(f"{line}\n" for line in lines)
    head = template.render(columns.headings)
    return table([line.split("\t") for line in lines], head.split("\t"))


def inspected(found: Sequence[Row], how: str) -> None:
    """Print what `inspect` has found, as one array of JSON or a line each by a template."""
    if how in {"", "json"}:
        import json

        text = json.dumps(found, indent=None if how else 4, ensure_ascii=False) + "\n"
        write(text.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
        return
    from enclos.cli import gotemplate

    template = gotemplate.parse(how)
    write("".join(f"{template.render(one)}\n" for one in found))


def one_line(how: str) -> Callable[[Row], str]:
    """What turns a row into a line: json or a template; raises `InvalidRequest`."""
    if how in {"", "json"}:
        return lambda row: f"{json_line(row)}\n"
    from enclos.cli import gotemplate

    template = gotemplate.parse(_unescaped(how))
    return lambda row: f"{template.render(row)}\n"


def table(rows: Sequence[Sequence[str]], header: Sequence[str]) -> str:
    """Columns as wide as they must be; nothing follows the last one."""
    whole = [list(map(printable, row)) for row in (header, *rows)]
    widths = [max(len(row[at]) for row in whole if at < len(row)) for at in range(len(header))]
    lines: list[str] = []
    for row in whole:
        cells = [cell.ljust(widths[at] + _GAP) for at, cell in enumerate(row[: len(widths)])]
        lines.append("".join(cells).rstrip() + "\n")
    return "".join(lines)


def json_line(value: object) -> str:
    """One line of JSON; bytes that are no text become replacement characters."""
    import json

    text = json.dumps(value, ensure_ascii=False, default=str)
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def printable(text: str) -> str:
    """A cell on one line: what images and commands contain must not move the cursor."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}"
                   if letter not in "\t\n" else " " for letter in text)  # fmt: skip


def _texts(row: Row, names: Sequence[str]) -> list[str]:
    return [str(row[name]) for name in names]


def _unescaped(text: str) -> str:
    """docker takes \\t and \\n in templates that a shell passed on as they are."""
    return text.replace("\\t", "\t").replace("\\n", "\n")
