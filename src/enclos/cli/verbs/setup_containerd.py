"""`setup containerd`: let containerd's CRI plugin, and so Kubernetes, know this runtime, or forget
it. Its other clients need nothing but the shim on the PATH."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from enclos.cli import registration
from enclos.cli.parse import Parsed
from enclos.cli.registration import Change
from enclos.errors import InvalidRequest
from enclos.plan import containerdconfig

DEFAULT: Final = "/etc/containerd/config.toml"
SHIM: Final = "containerd-shim-enclos-v2"
_THEN: Final = "containerd reads it by: systemctl restart containerd"


def run(asked: Parsed) -> int:
    """Put the handler at the end of config.toml, or take it out."""
    path = Path(asked.text("config-file", DEFAULT))
    try:
        before = registration.read(path)
        if asked.on("undo"):
            after = containerdconfig.unregister(before)
        else:
            after = containerdconfig.register(before, registration.program(SHIM))
    except InvalidRequest as error:
        raise InvalidRequest(f"cannot change {path}: {error.message}", hint=error.hint) from error
    return registration.carry_out(
        Change(path, before, after), dry_run=asked.on("dry-run"), then=_THEN
    )
