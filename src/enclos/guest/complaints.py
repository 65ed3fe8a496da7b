"""Turns crun's complaints into our errors, in the words that engines look for.

Engines derive exit codes 126 and 127 from words such as "no such file or directory"; so these
appear exactly where the container's program is missing or cannot run, and nowhere else.
"""

from __future__ import annotations

import json
import os
import re
import stat
from typing import Any, Final

from enclos.errors import (
    EnclosError,
    GuestFailed,
    InvalidRequest,
    ProgramNotFound,
    ProgramNotRunnable,
)  # fmt: skip
from enclos.linux import libc
from enclos.structs import dataclass

_IN_PATH: Final = "in $PATH"
_ABOUT_THE_PROGRAM: Final = ("executable file `", "the path `")
_NOT_REGULAR: Final = "is not a regular file"
_MISSING: Final = "check the spelling, and what the image has to offer"
_NOT_RUNNABLE: Final = "name a file that may be executed"
_CONFIGURED: Final = "mend what it names in the container's options; enclos-oci plan shows all"
"""Hints: none of the words that engines look for may be in them."""
_MEANT_ELSEWHERE: Final = (
    (re.compile("executable file .*not found in", re.IGNORECASE), "program not found in"),
    (re.compile("no such file or directory", re.IGNORECASE), "it is missing"),
    (re.compile("permission denied|operation not permitted", re.IGNORECASE), "it is refused"),
    (re.compile("(?<=not )a directory", re.IGNORECASE), "of the kind directory"),
    (re.compile("(?<=is )a directory", re.IGNORECASE), "of the kind directory"),
)


@dataclass(frozen=True, slots=True)
class Program:
    """What a process is to run: the first argument, and where that is if it is a path."""

    name: str
    path: str


def program_of(process: Any) -> Program:
    """Of a decoded OCI process object; raises `InvalidRequest` without arguments."""
    try:
        name, directory = str(process["args"][0]), str(process["cwd"])
    except (KeyError, TypeError, IndexError) as error:
        raise InvalidRequest(f"the process has no arguments or no directory: {error!r}") from error
    return Program(name, os.path.join(directory, name) if "/" in name else "")


def decoded(text: str) -> Any:
    """JSON of the host's; raises `InvalidRequest` for anything else."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"not JSON: {error}") from error


def translate(complaint: str, program: Program, *, pid: int = 0) -> EnclosError:
    """The error that `complaint` about starting `program` stands for.

    `pid` is a process of the container, by whose root a path can be looked at.
    """
    named = f'exec: "{program.name}":'
    if _IN_PATH in complaint:
        return ProgramNotFound(f"{named} executable file not found {_IN_PATH}", hint=_MISSING)
    opening = f"cannot open `{program.path}`"
    if not any(word in complaint for word in (*_ABOUT_THE_PROGRAM, opening)):
        return GuestFailed(_reworded(complaint) or "crun failed without a word", hint=_CONFIGURED)
    words = _words(complaint, program, pid=pid)
    if words in {"no such file or directory", "not a directory"}:
        return ProgramNotFound(f"{named} stat {program.name}: {words}", hint=_MISSING)
    return ProgramNotRunnable(f"{named} {words}", hint=_NOT_RUNNABLE)


def _words(complaint: str, program: Program, *, pid: int) -> str:
    if _NOT_REGULAR in complaint and pid:  # crun exec says so of a missing path too
        return look(f"/proc/{pid}/root", program.path)
    if _NOT_REGULAR in complaint:
        return _DIRECTORY
    lower = complaint.lower()
    if "not found" in lower or "no such file" in lower:
        return "no such file or directory"
    return "not a directory" if "not a directory" in lower else "permission denied"


_DIRECTORY: Final = "permission denied: it is a directory"
"""Older engines know the first two words, newer ones the last three."""


def look(root: str, path: str) -> str:
    """Why the program at `path` below `root` could not be run."""
    directory = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        resolve = libc.RESOLVE_IN_ROOT | libc.RESOLVE_NO_MAGICLINKS
        found = libc.openat2(directory, path, flags=os.O_PATH, resolve=resolve)
    except FileNotFoundError:
        return "no such file or directory"
    except NotADirectoryError:
        return "not a directory"
    except OSError:
        return "permission denied"
    finally:
        os.close(directory)
    try:
        return _DIRECTORY if stat.S_ISDIR(os.fstat(found).st_mode) else "permission denied"
    finally:
        os.close(found)


def _reworded(complaint: str) -> str:
    for pattern, words in _MEANT_ELSEWHERE:
        complaint = pattern.sub(words, complaint)
    return complaint
