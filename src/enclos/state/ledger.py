"""The undo ledger of a sandbox: what was taken from the host, written before it is taken.

One small file per entry, numbered. Whoever takes something records it first and clears it after
releasing it; after a crash `replay` releases what is left, newest first, by the same release
functions. These work from the record alone and treat "already gone" as done.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, cast

from enclos.errors import EnclosError, Unclean
from enclos.state import store
from enclos.structs import dataclass

Fields = Mapping[str, str | int]
Release = Callable[[Fields], None]

_SUFFIX: Final = ".json"
_DIRECTORY: Final = "ledger"


@dataclass(frozen=True, slots=True)
class Entry:
    """One recorded resource: its kind says which release function undoes it."""

    number: int
    kind: str
    fields: Fields


@dataclass(frozen=True, slots=True)
class Ledger:
    """The ledger kept in one directory, which need not exist yet."""

    directory: Path

    def record(self, kind: str, **fields: str | int) -> Entry:
        """Write an entry down, before the deed; raises `OSError`.

        Several processes may record at a time: the number is taken by whose file is there first.
        """
        if not self.directory.exists():
            store.make_directory(self.directory)
        data = json.dumps({"kind": kind, "fields": fields}).encode("utf-8", "surrogateescape")
        number = max(_numbers(self.directory), default=0) + 1
        while True:
            try:
                store.new_file(self._path(number), data)
            except FileExistsError:
                number += 1
            else:
                return Entry(number, kind, fields)

    def clear(self, entry: Entry) -> None:
        """Forget an entry, after its release; gone already is done."""
        store.remove_file(self._path(entry.number))

    @contextmanager
    def holding(self, kind: str, **fields: str | int) -> Iterator[Entry]:
        """Record, and clear at the end unless releasing failed; acquire and release inside."""
        entry = self.record(kind, **fields)
        yield entry
        self.clear(entry)

    def entries(self) -> list[Entry]:
        """What is recorded, oldest first; raises `Unclean` for a damaged entry."""
        found = [self._read(number) for number in sorted(_numbers(self.directory))]
        return [entry for entry in found if entry is not None]

    def replay(self, releases: Mapping[str, Release]) -> list[Entry]:
        """Release everything recorded, newest first, and answer what that was.

        One failure does not keep the others from being released; in the end `Unclean` names
        all that is left. A damaged entry is left as well.
        """
        done: list[Entry] = []
        left: list[str] = []
        for number in sorted(_numbers(self.directory), reverse=True):
            try:
                entry = self._read(number)
                if entry is None:
                    continue
                _release(entry, releases)
            except (EnclosError, OSError) as error:
                left.append(f"{self._path(number)}: {error}")
            else:
                self.clear(entry)
                done.append(entry)
        if left:
            raise Unclean(
                f"not everything could be released: {left[0]}",
                hint="release what is named by hand, then run: enclos sweep",
                detail="\n".join(left[1:]),
            )
        return done

    def _path(self, number: int) -> Path:
        return self.directory / f"{number:06d}{_SUFFIX}"

    def _read(self, number: int) -> Entry | None:
        path = self._path(number)
        try:
            raw: object = json.loads(store.read_file(path).decode("utf-8", "surrogateescape"))
        except FileNotFoundError:
            return None
        except (ValueError, RecursionError) as error:
            raise Unclean(f"the ledger entry {path} is damaged: {error}") from error
        return Entry(number, *_checked(raw, path))


def of_sandbox(directory: Path) -> Ledger:
    """The ledger in a sandbox's directory."""
    return Ledger(directory / _DIRECTORY)


def of_container(directory: Path) -> Ledger:
    """The ledger in a container's directory, for what outlives its sandbox."""
    return Ledger(directory / _DIRECTORY)


def _release(entry: Entry, releases: Mapping[str, Release]) -> None:
    if entry.kind not in releases:
        raise Unclean(f"nobody knows how to release a {entry.kind!r}: {dict(entry.fields)}")
    try:
        releases[entry.kind](entry.fields)
    except KeyError as error:
        raise Unclean(f"the entry of a {entry.kind!r} lacks {error}") from error


def _checked(raw: object, path: Path) -> tuple[str, Fields]:
    members = cast("dict[str, Any]", raw) if isinstance(raw, dict) else {}
    kind, fields = members.get("kind"), members.get("fields")
    if not isinstance(kind, str) or not isinstance(fields, dict):
        raise Unclean(f"the ledger entry {path} is damaged: no kind or fields")
    plain: dict[str, str | int] = {}
    for name, value in cast("dict[str, Any]", fields).items():
        if not isinstance(value, (str, int)):
            raise Unclean(f"the ledger entry {path} is damaged: member {name!r}")
        plain[name] = value
    return kind, plain


def _numbers(directory: Path) -> list[int]:
    if not directory.is_dir():
        return []
    stems = [path.stem for path in directory.glob(f"*{_SUFFIX}")]
    return [int(stem) for stem in stems if stem.isdecimal()]
