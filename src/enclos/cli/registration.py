"""What `setup` does to an engine's files: show the change, or carry it out.

The text before and after comes from one module per engine; here are the file, the difference
for people, and the programs that engines are told of.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import Final

from enclos.cli import output
from enclos.errors import InvalidRequest
from enclos.linux import files, process
from enclos.structs import dataclass

PROGRAM: Final = "enclos-oci"
_LIMIT: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Change:
    """A file's text before and after; empty where there is no file."""

    path: Path
    before: str
    after: str


def program(name: str = PROGRAM) -> str:
    """A program's path: beside this program, or where PATH says. Raises `HostUnfit`."""
    beside = Path(os.path.realpath(sys.argv[0])).with_name(name)
    return os.fspath(beside) if os.access(beside, os.X_OK) else process.find(name)


def read(path: Path) -> str:
    """A file's text, empty if there is none; raises `InvalidRequest` for what is no text."""
    try:
        return files.read_bounded(path, _LIMIT).decode()
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"it is no text: {error}", hint="mend it first") from error


def carry_out(change: Change, *, dry_run: bool, then: str) -> int:
    """Print the difference and, unless it is only to be shown, write it; `then` says what next."""
    if change.before == change.after:
        output.write(f"{change.path}: nothing to do\n")
        return 0
    output.write(_difference(change))
    if not dry_run:
        _write(change)
        output.write(f"{change.path}: written; {then}\n")
    return 0


def _difference(change: Change) -> str:
    from difflib import unified_diff

    name = os.fspath(change.path)
    before, after = (text.splitlines() for text in (change.before, change.after))
    return "".join(f"{line}\n" for line in unified_diff(before, after, name, name, lineterm=""))


def _write(change: Change) -> None:
    """Keep mode and owner, and a link where it points; an empty text is no file."""
    path = Path(os.path.realpath(change.path))
    if not change.after:
        path.unlink()
        return
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    found = path.stat() if path.exists() else None
    mode = stat.S_IMODE(found.st_mode) if found else 0o644
    files.write_atomic(path, change.after.encode(), mode=mode, sync=True)
    if found:
        os.chown(path, found.st_uid, found.st_gid)
