"""`setup podman`: let podman know this runtime, by a drop-in of its own, or forget it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final

from enclos.cli import registration
from enclos.cli.parse import Parsed
from enclos.cli.registration import Change
from enclos.errors import InvalidRequest
from enclos.plan import podmanconfig

DEFAULT: Final = "/etc/containers/containers.conf.d/50-enclos.conf"
_BEFORE: Final = (
    Path("/usr/share/containers/containers.conf"),
    Path("/etc/containers/containers.conf"),
)
_THEN: Final = "podman reads it at its next call"


def run(asked: Parsed) -> int:
    """Write the drop-in, or remove it; one that is not ours is left alone."""
    path = Path(asked.text("config-file", DEFAULT)).absolute()
    before = registration.read(path)
    if before and not podmanconfig.is_ours(before):
        raise InvalidRequest(
            f"{path} was not written by `enclos setup podman`",
            hint="move it away, or name another file with --config-file",
        )
    after = "" if asked.on("undo") else _drop_in(path)
    return registration.carry_out(
        Change(path, before, after), dry_run=asked.on("dry-run"), then=_THEN
    )


def _drop_in(path: Path) -> str:
    earlier = [other for other in sorted(path.parent.glob("*.conf")) if other.name < path.name]
    documents = [_document(file) for file in (*_BEFORE, *earlier)]
    return podmanconfig.drop_in(registration.program(), documents)


def _document(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(registration.read(path))
    except (tomllib.TOMLDecodeError, InvalidRequest) as error:
        raise InvalidRequest(f"{path} is not TOML: {error}", hint="correct it first") from error
