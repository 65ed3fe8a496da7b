"""`setup docker`: let dockerd know this runtime, or forget it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from enclos.cli import daemonjson, registration
from enclos.cli.parse import Parsed
from enclos.cli.registration import Change
from enclos.errors import InvalidRequest

DEFAULT: Final = "/etc/docker/daemon.json"
_THEN: Final = "dockerd reads it by: systemctl reload docker"


def run(asked: Parsed) -> int:
    """Change daemon.json as little as it takes."""
    path = Path(asked.text("config-file", DEFAULT))
    undo = asked.on("undo")
    try:
        before = registration.read(path)
        if undo:
            after = daemonjson.unregister(before)
        else:
            after = daemonjson.register(before, registration.program())
    except InvalidRequest as error:
        raise InvalidRequest(f"cannot change {path}: {error.message}", hint=error.hint) from error
    return registration.carry_out(
        Change(path, before, after), dry_run=asked.on("dry-run"), then=_THEN
    )
