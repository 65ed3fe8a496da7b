"""The runtimes in dockerd's configuration: put ours in, take them out, leave the rest as it is.

Works on the text, so that a person's own order and layout stay; what was put in comes out again
to the byte, also from among what was added meanwhile.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, cast

from enclos.errors import InvalidRequest
from enclos.structs import dataclass

NAMES: Final = ("enclos", "enclos-oci")
"""What dockerd is to know the program by."""
_DECODER: Final = json.JSONDecoder()
_BLANK: Final = re.compile(r"[ \t\r\n]*")


def register(text: str, program: str) -> str:
    """`text` with the runtimes in it; raises `InvalidRequest` if it is not what dockerd reads."""
    document = _document(text)
    known = _runtimes(document)
    for name in NAMES:
        if name in known and not _is_ours(known[name]):
            raise InvalidRequest(
                f"there is a runtime {name} already, with settings of its own",
                hint=f"rename or remove it: {json.dumps(known[name])[:80]}",
            )
    if all(known.get(name) == {"path": program} for name in NAMES):
        return text
    clean = unregister(text)
    pieces = _Pieces(program)
    if not clean.strip():
        return clean + pieces.file
    top, inner = _objects(clean)
    if inner >= 0:
        return _insert(clean, inner, pieces.entries(beside=bool(_members(clean, inner))))
    return _insert(clean, top, pieces.member(beside=bool(_members(clean, top))))


def unregister(text: str) -> str:
    """`text` without them; empty where nothing else was ever in it. Raises as `register`."""
    known = _runtimes(_document(text))
    ours = [name for name in NAMES if name in known and _is_ours(known[name])]
    if not ours:
        return text
    pieces = _Pieces(cast("dict[str, str]", known[ours[0]])["path"])
    if text.lstrip() == pieces.file:
        return text.removesuffix(pieces.file)
    for piece in pieces.inserted():
        if piece in text:
            return text.replace(piece, "", 1)
    for name in ours:
        text = _without(text, name)
    return text


@dataclass(frozen=True, slots=True)
class _Pieces:
    """What is put in, by where."""

    program: str

    @property
    def file(self) -> str:
        """A whole file, where there was none."""
        return f"{{{self.member(beside=False)}\n}}\n"

    def member(self, *, beside: bool) -> str:
        """The member of the whole document, `beside` others."""
        inner = self.entries(beside=False)
        return f'\n  "runtimes": {{{inner}}}{"," if beside else ""}'

    def entries(self, *, beside: bool) -> str:
        """The members of `runtimes`, `beside` others."""
        lines = [f'\n    "{name}": {{"path": {json.dumps(self.program)}}}' for name in NAMES]
        return ",".join(lines) + ("," if beside else "\n  ")

    def inserted(self) -> tuple[str, ...]:
        """All of these, each before what is part of it."""
        return (
            self.member(beside=True),
            self.member(beside=False),
            self.entries(beside=True),
            self.entries(beside=False),
        )


@dataclass(frozen=True, slots=True)
class _Member:
    """Where a member of an object is in the text."""

    name: str
    start: int
    value: int
    end: int


def _document(text: str) -> dict[str, Any]:
    if not text.strip():
        return {}
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(
            f"it is not valid JSON: {error}", hint="mend it first: dockerd cannot read it either"
        ) from error
    if not isinstance(found, dict):
        raise InvalidRequest("it is no JSON object", hint="mend it first: dockerd wants { … }")
    return cast("dict[str, Any]", found)


def _runtimes(document: dict[str, Any]) -> dict[str, Any]:
    found: object = document.get("runtimes", {})
    if not isinstance(found, dict):
        raise InvalidRequest(
            "its member runtimes is no JSON object", hint='mend it first: "runtimes": { … }'
        )
    return cast("dict[str, Any]", found)


def _is_ours(entry: object) -> bool:
    """A path to a program of our name, and nothing else."""
    if not isinstance(entry, dict):
        return False
    members = cast("dict[str, object]", entry)
    path = members.get("path")
    return len(members) == 1 and isinstance(path, str) and path.endswith("/enclos-oci")


def _objects(text: str) -> tuple[int, int]:
    """Where the document begins, and its runtimes, -1 if there are none."""
    top = text.index("{")
    inner = [member.value for member in _members(text, top) if member.name == "runtimes"]
    return top, inner[-1] if inner else -1


def _members(text: str, start: int) -> list[_Member]:
    """The members of the object that begins at `start`, in text that is known to be JSON."""
    found: list[_Member] = []
    at = _skip(text, start + 1)
    while text[at] != "}":
        name, after = _DECODER.raw_decode(text, at)
        value = _skip(text, _skip(text, after) + 1)
        _, end = _DECODER.raw_decode(text, value)
        found.append(_Member(name, at, value, end))
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return found


def _skip(text: str, at: int) -> int:
    blank = _BLANK.match(text, at)
    return blank.end() if blank else at


def _insert(text: str, start: int, piece: str) -> str:
    return text[: start + 1] + piece + text[start + 1 :]


def _without(text: str, name: str) -> str:
    """The text without one runtime, and without the comma that goes with it."""
    members = _members(text, _objects(text)[1])
    at = next(index for index, member in enumerate(members) if member.name == name)
    start, end = members[at].start, members[at].end
    if at + 1 < len(members):
        end = members[at + 1].start
    elif at:
        start = members[at - 1].end
    return text[:start] + text[end:]
