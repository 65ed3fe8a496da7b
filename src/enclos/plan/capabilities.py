"""Which capabilities a container has: docker's default list, --cap-add and --cap-drop. PURE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from enclos.errors import InvalidRequest
from enclos.oci.names import CAPABILITIES

DEFAULT: Final = tuple(
    f"CAP_{name}"
    for name in (
        "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP "
        "NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE"
    ).split()
)
_ALL: Final = "CAP_ALL"


def choose(add: Sequence[str], drop: Sequence[str], *, privileged: bool) -> tuple[str, ...]:
    """The capabilities in force; raises `InvalidRequest` for an unknown name."""
    added, dropped = _names("cap-add", add), _names("cap-drop", drop)
    if privileged:
        return tuple(CAPABILITIES)
    if _ALL in added:
        return tuple(name for name in CAPABILITIES if name not in dropped)
    base = () if _ALL in dropped else DEFAULT
    kept = [name for name in base if name not in dropped]
    return tuple(dict.fromkeys((*kept, *(name for name in added if name != _ALL))))


def _names(flag: str, values: Sequence[str]) -> tuple[str, ...]:
    return tuple(_name(flag, part) for value in values for part in value.split(","))


def _name(flag: str, value: str) -> str:
    name = value.strip().upper()
    name = name if name.startswith("CAP_") else f"CAP_{name}"
    if name != _ALL and name not in CAPABILITIES:
        raise InvalidRequest(
            f"invalid argument {value[:80]!r} for --{flag}: unknown capability",
            hint="see capabilities(7); ALL means all of them",
        )
    return name
