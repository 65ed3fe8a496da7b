"""State roots of test sessions in use, so that the next session ends what a killed one left.

A session that is cut off removes nothing, and the machines of containers that nobody waits for
run on. Each is known by its records: a supervisor's pid with its start time, and its ledger.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Final

from enclos.errors import EnclosError
from enclos.linux import pid
from enclos.linux.pid import ProcessRef
from enclos.sandbox import release
from enclos.state.store import StateRoot

PLACE: Final = Path("/run/enclos-tests")
"""A file per directory in use, named by its process; gone after a boot, as pids are."""
_NUMBERS: Final = count()


@contextmanager
def using(directory: Path, *, place: Path = PLACE) -> Iterator[None]:
    """State roots at or below `directory` are this process' while the context lasts."""
    me = pid.this_process()
    entry = place / f"{me.pid}-{me.start}-{next(_NUMBERS)}"
    _note(entry, os.fspath(directory))
    try:
        yield
    finally:
        entry.unlink(missing_ok=True)
        with suppress(OSError):
            place.rmdir()  # others may have theirs in it


def _note(entry: Path, text: str) -> None:
    while not entry.exists():
        entry.parent.mkdir(mode=0o700, exist_ok=True)
        with suppress(FileNotFoundError):  # another session was the last one and removed it
            entry.write_text(text)


def end_dead(*, place: Path = PLACE) -> list[str]:
    """End the sandboxes of sessions whose process has died; what was done, a line each."""
    done: list[str] = []
    for entry in sorted(place.glob("*-*-*")):
        number, start, _ = entry.name.split("-", 2)
        if ProcessRef(int(number), int(start)).alive():
            continue
        with suppress(FileNotFoundError):  # another session does the same
            directory = Path(entry.read_text())
            done += [line for root in _roots(directory) for line in _end(root)]
            entry.unlink()
    return done


def _roots(directory: Path) -> list[StateRoot]:
    """Below a session's state root are those of shims, one for each namespace of containerd."""
    return [StateRoot(found.parent) for found in sorted(directory.rglob("sandboxes"))]


def _end(root: StateRoot) -> Iterator[str]:
    for name in root.sandbox_ids():
        try:
            release.sandbox(root, name)
            yield f"ended the sandbox {name} of a test session that was cut off"
        except (EnclosError, OSError) as error:
            yield f"the sandbox {name} of a test session that was cut off stays: {error}"
    for name in root.container_ids():
        with suppress(EnclosError, OSError):  # its sandbox has been told of
            release.container(root, name)
