"""Writes a cpio archive (newc) from named entries: the form in which Linux takes an initrd.

Deterministic: same entries, same bytes. Owners are root, times are zero, inode numbers count
up, names are sorted. Not a general archiver: no hard links, no reading.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator
from typing import Final

from enclos.errors import InvalidRequest
from enclos.structs import dataclass

_TRAILER: Final = "TRAILER!!!"


@dataclass(frozen=True, slots=True)
class Entry:
    """One member: `mode` holds type and permissions, `data` a file's bytes or a link's target."""

    name: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def directory(name: str, mode: int = 0o755) -> Entry:
    """A directory."""
    return Entry(name, stat.S_IFDIR | mode)


def regular(name: str, data: bytes, *, mode: int = 0o644) -> Entry:
    """A regular file."""
    return Entry(name, stat.S_IFREG | mode, data)


def symlink(name: str, target: str) -> Entry:
    """A symbolic link."""
    return Entry(name, stat.S_IFLNK | 0o777, target.encode())


def character_device(name: str, mode: int, *, major: int, minor: int) -> Entry:
    """A character device node."""
    return Entry(name, stat.S_IFCHR | mode, b"", (major, minor))


def archive(entries: Iterable[Entry]) -> bytes:
    """The archive of `entries` with every parent directory that was not given.

    Raises `InvalidRequest` for an absolute or repeated name.
    """
    members = _with_parents(entries)
    chunks = [
        part
        for number, name in enumerate(sorted(members), start=1)
        for part in _member(members[name], number)
    ]
    chunks.extend(_member(Entry(_TRAILER, 0), 0))
    body = b"".join(chunks)
    return body + bytes(-len(body) % 512)


def _with_parents(entries: Iterable[Entry]) -> dict[str, Entry]:
    members: dict[str, Entry] = {}
    for entry in entries:
        if entry.name.startswith("/") or entry.name in members:
            raise InvalidRequest(f"cpio member {entry.name!r} is absolute or given twice")
        members[entry.name] = entry
    for name in list(members):
        for parent in _parents(name):
            members.setdefault(parent, directory(parent))
    return members


def _parents(name: str) -> Iterator[str]:
    while "/" in name:
        name = name.rpartition("/")[0]
        yield name


def _member(entry: Entry, number: int) -> tuple[bytes, ...]:
    name = entry.name.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    fields = (
        number,
        entry.mode,
        0,  # uid
        0,  # gid
        links,
        0,  # mtime
        len(entry.data),
        0,  # device that holds it
        0,
        *entry.device,
        len(name),
        0,  # checksum, unused in newc
    )
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    return (
        header,
        name,
        bytes(-(len(header) + len(name)) % 4),
        entry.data,
        bytes(-len(entry.data) % 4),
    )
