"""The answer to `state`, from the file that `records` keeps rendered for it.

Imports next to nothing, because the whole program has 20 ms (decision 5): the file holds whom
to look for (pid and start time of stand-in and supervisor), the answer if both live, and the
answer if not, with a separator between them. A pid of 0 is one that need not be looked for.
"""

from __future__ import annotations

import os

from enclos.errors import InvalidRequest, NotFound, Unclean

STATE_FILE = "oci-state"
SEPARATOR = "\0"
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-."
_CHUNK = 1 << 16


def render(root: str, container_id: str) -> bytes:
    """The state of `container_id` below the state root `root`, ready to be printed.

    Raises `InvalidRequest`, `NotFound` and, for a damaged file, `Unclean`.
    """
    living, _ = look(root, container_id)
    return living


def look(root: str, container_id: str) -> tuple[bytes, str]:
    """The state as `render` gives it, and the sandbox's id, empty if nothing of it runs.

    Raises as `render` does.
    """
    if not container_id or container_id.strip(_LETTERS) or container_id in {".", ".."}:
        raise InvalidRequest(
            f"invalid container id {container_id[:80]!r}",
            hint="use letters, digits and _ + - . only",
        )
    path = f"{root}/containers/{container_id}/{STATE_FILE}"
    try:
        header, living, dead = _read(path).split(SEPARATOR.encode())
        *numbers, sandbox = header.split(b" ")
        pid, start, supervisor, supervisor_start = map(int, numbers)
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(f"container {container_id}: container does not exist") from None
    except ValueError:
        raise Unclean(f"the state file {path} is damaged", hint="delete with --force") from None
    alive = not pid or start_time(pid) == start
    owned = not supervisor or start_time(supervisor) == supervisor_start
    if not alive or not owned:
        return dead, ""
    return living, sandbox.decode() if pid or supervisor else ""


def _read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    data = b""
    try:
        while chunk := os.read(descriptor, _CHUNK):
            data += chunk
    finally:
        os.close(descriptor)
    return data


def start_time(pid: int) -> int:
    """Start time of a process in ticks; -1 if it does not exist, is dead or a zombie."""
    try:
        fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return -1
    if len(fields) < 20 or fields[0] in {b"Z", b"X"}:
        return -1
    return int(fields[19])
