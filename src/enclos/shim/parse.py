"""A shim's command line: Go's flags, then one of `start` and `delete`.

Go takes one dash or two, `-flag value` or `-flag=value`; truth values stand alone.
"""

from __future__ import annotations

from enclos.errors import InvalidRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

TEXTS: Final = {
    "namespace": "containerd's namespace",
    "address": "containerd's socket",
    "publish-binary": "not used: events go to TTRPC_ADDRESS",
    "id": "the container",
    "bundle": "its bundle, for `delete`; `start` runs in it",
    "socket": "not used: the shim chooses its socket",
    "log-socket": "not used: the log is the fifo in the bundle",
}
"""Flags with a value, and what it is."""
SWITCHES: Final = {
    "debug": "log more",
    "v": "print the version",
    "info": "print what this runtime is and can do, as containerd 2 wants it",
}
"""Flags without one."""
VERBS: Final = {
    "start": "find or make the shim of a container; print its address",
    "delete": "clean up after a container, whether its shim lives or not; print how it ended",
}
"""What there is to do, and the answer on standard output."""
_TRUE: Final = {"", "1", "t", "T", "true", "TRUE", "True"}
_FALSE: Final = {"0", "f", "F", "false", "FALSE", "False"}


class Invocation:
    """What was asked; `verb` is empty where there is none."""

    __slots__ = ("switches", "texts", "verb")

    def __init__(self) -> None:
        self.verb = ""
        self.texts = dict.fromkeys(TEXTS, "")
        self.switches: set[str] = set()


def parse(words: Sequence[str]) -> Invocation:
    """Read the words behind the program's name; raises `InvalidRequest`."""
    found = Invocation()
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            _verb(found, word, rest)
            return found
        name, equals, value = word.lstrip("-").partition("=")
        if name in found.texts:
            if not equals and not rest:
                raise InvalidRequest(f"flag needs an argument: -{name}")
            found.texts[name] = value if equals else rest.pop(0)
        elif name in SWITCHES:
            _switch(found, name, value)
        else:
            raise InvalidRequest(
                f"flag provided but not defined: -{name[:40]}",
                hint="containerd starts this program; see containerd-shim-enclos-v2(8)",
            )
    return found


def _verb(found: Invocation, word: str, rest: Sequence[str]) -> None:
    if word not in VERBS or rest:
        raise InvalidRequest(
            f"unknown verb {' '.join([word, *rest])[:80]!r}", hint="use start or delete"
        )
    found.verb = word


def _switch(found: Invocation, name: str, value: str) -> None:
    if value in _TRUE:
        found.switches.add(name)
    elif value not in _FALSE:
        raise InvalidRequest(f"invalid value {value[:40]!r} for flag -{name}")
