"""Whom a process runs as: `-u USER[:GROUP]` by a container's own passwd and group. PURE.

The rules are docker's and runc's: a name must be in the file, a number need not be; a user's
own group and supplementary groups come from the files unless a group was named.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from enclos.errors import InvalidRequest, NotFound
from enclos.structs import dataclass

_MAX_ID: Final = (1 << 31) - 1
_MAX_LINES: Final = 100_000
_PASSWD_FIELDS: Final = 7
_GROUP_FIELDS: Final = 4


@dataclass(frozen=True, slots=True)
class ResolvedUser:
    """Numbers, and the home directory; `groups` are the supplementary ones."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


@dataclass(frozen=True, slots=True)
class _Account:
    name: str
    uid: int
    gid: int
    home: str


@dataclass(frozen=True, slots=True)
class _Group:
    name: str
    gid: int
    members: tuple[str, ...]


def resolve_user(
    user: str, passwd_text: str, group_text: str, *, extra_groups: Sequence[str] = ()
) -> ResolvedUser:
    """The user that `user` means, with `extra_groups` (names or numbers) added.

    Raises `NotFound` for a name that is in no file, `InvalidRequest` for an impossible number.
    """
    name, colon, group = user.partition(":")
    account = _account(name or "0", passwd_text)
    groups = tuple(_groups(group_text))
    if colon and group:
        gid = _gid(group, groups)
        supplementary: tuple[int, ...] = ()
    else:
        gid = account.gid
        supplementary = tuple(g.gid for g in groups if account.name and account.name in g.members)
    extra = tuple(_gid(text, groups) for text in extra_groups)
    every = tuple(dict.fromkeys((gid, *supplementary, *extra)))
    return ResolvedUser(account.uid, gid, every, account.home)


def _account(name: str, passwd_text: str) -> _Account:
    number = _number(name)
    for account in _accounts(passwd_text):
        if account.name == name or account.uid == number:
            return account
    if number is None:
        raise NotFound(
            f"unable to find user {name[:80]}: no matching entries in passwd file",
            hint="use a name of the image's /etc/passwd, or a number",
        )
    return _Account("", number, 0, "/")


def _gid(text: str, groups: Sequence[_Group]) -> int:
    number = _number(text)
    for group in groups:
        if group.name == text:
            return group.gid
    if number is None:
        raise NotFound(
            f"unable to find group {text[:80]}: no matching entries in group file",
            hint="use a name of the image's /etc/group, or a number",
        )
    return number


def _number(text: str) -> int | None:
    if not text.isdecimal() or not text.isascii():
        return None
    if len(text) > 10 or int(text) > _MAX_ID:
        raise InvalidRequest(
            f"user or group id {text[:20]} is out of range", hint=f"use 0 to {_MAX_ID}"
        )
    return int(text)


def _accounts(text: str) -> Iterator[_Account]:
    for fields in _lines(text, _PASSWD_FIELDS):
        if _is_id(fields[2]) and _is_id(fields[3]):
            yield _Account(fields[0], int(fields[2]), int(fields[3]), fields[5] or "/")


def _groups(text: str) -> Iterator[_Group]:
    for fields in _lines(text, _GROUP_FIELDS):
        if _is_id(fields[2]):
            yield _Group(fields[0], int(fields[2]), tuple(fields[3].split(",")))


def _lines(text: str, count: int) -> Iterator[list[str]]:
    """Fields of every line that has enough of them: images contain all sorts of lines."""
    for line in text.splitlines()[:_MAX_LINES]:
        fields = line.strip().split(":")
        if len(fields) >= count:
            yield fields


def _is_id(text: str) -> bool:
    return text.isdecimal() and text.isascii() and len(text) <= 10 and int(text) <= _MAX_ID
