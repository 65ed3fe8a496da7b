"""The one tree of errors that Enclos raises on purpose.

A class exists because a caller does something different about it: two tables turn classes
into answers for the outside, exit codes (`EXIT_CODES`) and ttrpc codes (`TTRPC_CODES`).
Anything else that escapes is a bug and keeps its traceback.
"""

from __future__ import annotations

import errno

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final


class EnclosError(Exception):
    """Base of the tree: one line that says what was attempted, on what, and what was found.

    `hint` says what to do next. `detail` carries the reader's evidence (a log's or a
    console's last lines) and is printed below the one line only when it is not empty.
    """

    def __init__(self, message: str, *, hint: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.message: Final = message
        self.hint: Final = hint
        self.detail: Final = detail


class InvalidRequest(EnclosError):
    """What was asked cannot be done by anybody: a bad flag, spec, name or size."""


class Unsupported(InvalidRequest):
    """What others can do and Enclos cannot."""


class NotFound(EnclosError):
    """The named container, image, sandbox or process does not exist."""


class Exists(EnclosError):
    """The name or id is taken."""


class WrongState(EnclosError):
    """The object exists but its state forbids the request."""


class HostUnfit(EnclosError):
    """The host lacks something; the hint, mandatory here, says how to get it."""

    def __init__(self, message: str, *, hint: str, detail: str = "") -> None:
        super().__init__(message, hint=hint, detail=detail)


class MachineFailed(EnclosError):
    """The VM or one of its helpers broke; `detail` carries the log and console tails."""


class GuestFailed(EnclosError):
    """The agent answered with an error that is not the request's fault."""


class ProgramNotFound(GuestFailed):
    """The container's program does not exist (exit code 127)."""


class ProgramNotRunnable(GuestFailed):
    """The container's program exists but cannot be executed (exit code 126)."""


class Lost(EnclosError):
    """The other end of a connection is gone: supervisor, agent or engine."""


class TimedOut(EnclosError):
    """A wait reached its limit; the message names the wait and the limit."""


class Unclean(EnclosError):
    """A release left something behind; the message names it."""


EXIT_CODES: Final[dict[type[EnclosError], int]] = {
    EnclosError: 125,
    InvalidRequest: 125,
    Unsupported: 125,
    NotFound: 125,
    Exists: 125,
    WrongState: 125,
    HostUnfit: 125,
    MachineFailed: 125,
    GuestFailed: 125,
    ProgramNotFound: 127,
    ProgramNotRunnable: 126,
    Lost: 125,
    TimedOut: 125,
    Unclean: 125,
}
"""Exit codes of `enclos`, docker's: 125 is ours, 126 and 127 are about the program.
`enclos-oci` answers 1 for all of them, as runc does."""

TTRPC_CODES: Final[dict[type[EnclosError], int]] = {
    EnclosError: 2,  # UNKNOWN
    InvalidRequest: 3,  # INVALID_ARGUMENT
    Unsupported: 12,  # UNIMPLEMENTED
    NotFound: 5,  # NOT_FOUND
    Exists: 6,  # ALREADY_EXISTS
    WrongState: 9,  # FAILED_PRECONDITION
    HostUnfit: 9,  # FAILED_PRECONDITION
    MachineFailed: 13,  # INTERNAL
    GuestFailed: 13,  # INTERNAL
    ProgramNotFound: 3,  # INVALID_ARGUMENT: with NOT_FOUND clients take the container for gone
    ProgramNotRunnable: 3,  # INVALID_ARGUMENT
    Lost: 14,  # UNAVAILABLE
    TimedOut: 4,  # DEADLINE_EXCEEDED
    Unclean: 13,  # INTERNAL
}
"""Codes of google.rpc.Code, as containerd reads them from a shim."""


_UNWRITABLE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})


def of_system(error: OSError) -> EnclosError:
    """What the kernel refused where nobody expected it to, in our words."""
    message = f"{error.filename}: " if error.filename else ""
    message += error.strerror or str(error)
    if error.errno in _UNWRITABLE:
        return HostUnfit(message, hint="see df and df -i; make room there, or use another root")
    return EnclosError(message)


def code_of(error: EnclosError, codes: dict[type[EnclosError], int]) -> int:
    """The code of `error` in one of the tables: its class's, or the nearest base's."""
    return next(codes[kind] for kind in type(error).__mro__ if kind in codes)


def by_name(name: str) -> type[EnclosError]:
    """The class called `name`, for errors that crossed a socket; the base if unknown."""
    return next((cls for cls in EXIT_CODES if cls.__name__ == name), EnclosError)
