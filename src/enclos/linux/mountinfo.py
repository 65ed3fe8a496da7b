"""The table of mounts of this mount namespace (/proc/self/mountinfo), read only."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from enclos.structs import dataclass

TABLE: Final = Path("/proc/self/mountinfo")


@dataclass(frozen=True, slots=True)
class Entry:
    """One mount; `options` are the mount's, `super_options` the file system's."""

    id: int
    parent: int
    device: str
    root: str
    target: Path
    options: frozenset[str]
    fstype: str
    source: str
    super_options: str


def entries(table: Path = TABLE) -> list[Entry]:
    """All mounts, in the order in which they were made; raises `OSError` without /proc."""
    text = table.read_bytes().decode("utf-8", "surrogateescape")
    return [_parse(line) for line in text.splitlines() if " - " in line]


def below(path: Path | str, table: Path = TABLE) -> list[Entry]:
    """The mounts at `path` and below it, in the order in which they were made."""
    absolute = Path(os.path.abspath(path))
    return [entry for entry in entries(table) if entry.target.is_relative_to(absolute)]


def covering(path: Path, table: Path = TABLE) -> Entry | None:
    """The mount that `path` (without symbolic links) lies on."""
    found: Entry | None = None
    for entry in entries(table):
        deeper = found is None or len(entry.target.parts) >= len(found.target.parts)
        if deeper and path.is_relative_to(entry.target):
            found = entry
    return found


def is_mount_point(path: Path | str, table: Path = TABLE) -> bool:
    """Whether something is mounted exactly at `path`, a bind of the same file system as well."""
    absolute = Path(os.path.abspath(path))
    return any(entry.target == absolute for entry in entries(table))


def _parse(line: str) -> Entry:
    """`36 35 98:0 /root /target rw,noatime shared:1 - ext4 /dev/sda rw`; see proc(5)."""
    first, _, last = line.partition(" - ")
    fields = first.split(" ")
    fstype, source, super_options = (*last.split(" "), "", "")[:3]
    return Entry(
        id=int(fields[0]),
        parent=int(fields[1]),
        device=fields[2],
        root=_unescaped(fields[3]),
        target=Path(_unescaped(fields[4])),
        options=frozenset(fields[5].split(",")),
        fstype=fstype,
        source=_unescaped(source),
        super_options=super_options,
    )


def _unescaped(word: str) -> str:
    """The kernel writes space, tab, newline and backslash as three octal digits."""
    if "\\" not in word:
        return word
    pieces = word.split("\\")
    plain = pieces[0]
    for piece in pieces[1:]:
        plain += chr(int(piece[:3], 8)) + piece[3:]
    return plain
