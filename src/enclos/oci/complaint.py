"""The one way in which a spec's member is refused: by its path, what is wrong, what to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from enclos.errors import InvalidRequest


def refusal(member: str, wrong: str, hint: str) -> InvalidRequest:
    """The error about `member` of config.json."""
    return InvalidRequest(f"config.json: {member}: {wrong}", hint=hint)


def check_known(member: str, value: str, known: Iterable[str], *, what: str) -> None:
    """Raises `InvalidRequest` if `value` is none of the words in `known`."""
    words = tuple(known)
    if value not in words:
        listing = " ".join(words) if len(words) <= 16 else f"{' '.join(words[:6])} …"
        raise refusal(member, f"unknown {what} {value[:80]!r}", f"use one of: {listing}")


def duplicates(values: Iterable[str]) -> Iterator[str]:
    """Values that have been there before, in their order."""
    seen: set[str] = set()
    for value in values:
        if value in seen:
            yield value
        seen.add(value)
