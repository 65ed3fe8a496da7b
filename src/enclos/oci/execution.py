"""The process object of an exec that is written as flags: the container's, with changes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from enclos.errors import InvalidRequest
from enclos.oci.types import Capabilities, Process, User
from enclos.structs import dataclass

_LARGEST_ID = 2**32 - 2


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs from the container's own process; empty means that nothing does."""

    args: tuple[str, ...]
    cwd: str = ""
    env: tuple[str, ...] = ()
    user: str = ""
    additional_gids: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    terminal: bool = False
    no_new_privileges: bool = False


def exec_process(base: Process, changes: Changes) -> Process:
    """The process to run; raises `InvalidRequest` for a user or group that is no number."""
    if not changes.args:
        raise InvalidRequest("process args cannot be empty", hint="name the program to run")
    return replace(
        base,
        terminal=changes.terminal,
        console_size=None,
        args=changes.args,
        cwd=changes.cwd or base.cwd,
        env=(*base.env, *changes.env),
        user=_user(base.user, changes),
        capabilities=_with(base.capabilities, changes.capabilities),
        no_new_privileges=changes.no_new_privileges or base.no_new_privileges,
    )


def _user(base: User, changes: Changes) -> User:
    gids = tuple(_id(text, "group") for text in changes.additional_gids)
    user = replace(base, additional_gids=(*base.additional_gids, *gids))
    if not changes.user:
        return user
    uid, colon, gid = changes.user.partition(":")
    user = replace(user, uid=_id(uid, "user"))
    return replace(user, gid=_id(gid, "group")) if colon else user


def _id(text: str, what: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text[:11]) <= _LARGEST_ID):
        raise InvalidRequest(f"invalid {what} id {text[:80]!r}", hint="write it as a number")
    return int(text)


def _with(base: Capabilities | None, names: Iterable[str]) -> Capabilities | None:
    """With these capabilities in every set, but the ambient one if nothing is inheritable."""
    extra = tuple(names)
    if not extra:
        return base
    sets = base or Capabilities()
    ambient = sets.ambient if not sets.inheritable else _union(sets.ambient, extra)
    return replace(
        sets,
        bounding=_union(sets.bounding, extra),
        effective=_union(sets.effective, extra),
        permitted=_union(sets.permitted, extra),
        ambient=ambient,
        inheritable=_union(sets.inheritable, extra) if sets.inheritable else sets.inheritable,
    )


def _union(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    return (*first, *(name for name in second if name not in first))
