"""Describes files so that damage can be noticed and named: mode, size, time and digest of each."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from enclos.structs import dataclass


@dataclass(frozen=True, slots=True)
class Record:
    """One file or link. `digest` is the SHA-256 of the bytes, or of a link's target."""

    mode: int
    size: int
    mtime_ns: int
    digest: str


def describe(directory: Path) -> dict[str, Record]:
    """A record of every file and link below `directory`, by relative path."""
    return {
        path.relative_to(directory).as_posix(): _record(path, path.lstat())
        for path in _files(directory)
    }


def digest(records: Mapping[str, Record]) -> str:
    """One SHA-256 over names, modes and contents; times do not count."""
    whole = hashlib.sha256()
    for name in sorted(records):
        record = records[name]
        whole.update(f"{name}\0{record.mode:o}\0{record.digest}\n".encode())
    return whole.hexdigest()


def looks_damaged(path: Path, record: Record) -> bool:
    """Whether `path` is gone or its mode, size or time differ from the record's."""
    try:
        found = path.lstat()
    except OSError:
        return True
    return (found.st_mode, found.st_size, found.st_mtime_ns) != (
        record.mode,
        record.size,
        record.mtime_ns,
    )


def is_damaged(path: Path, record: Record) -> bool:
    """Whether `path` is gone or its mode or content differ from the record's."""
    try:
        found = _record(path, path.lstat())
    except OSError:
        return True
    return (found.mode, found.digest) != (record.mode, record.digest)


def _files(directory: Path) -> Iterator[Path]:
    return (path for path in sorted(directory.rglob("*")) if path.is_symlink() or path.is_file())


def _record(path: Path, found: os.stat_result) -> Record:
    return Record(found.st_mode, found.st_size, found.st_mtime_ns, _digest(path, found))


def _digest(path: Path, found: os.stat_result) -> str:
    if stat.S_ISLNK(found.st_mode):
        return hashlib.sha256(os.readlink(path).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
