"""`setup k3s`: let the containerd within k3s know this runtime, or forget it.

k3s writes its containerd's configuration at each start, from a template if there is one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from enclos.cli import registration
from enclos.cli.parse import Parsed
from enclos.cli.registration import Change
from enclos.errors import InvalidRequest
from enclos.plan import containerdconfig

DIRECTORY: Final = "/var/lib/rancher/k3s/agent/etc/containerd"
MADE: Final = "config.toml"
"""What k3s makes of a template; says by its version which one it reads."""
TEMPLATES: Final = {2: "config.toml.tmpl", 3: "config-v3.toml.tmpl"}
SHIM: Final = "containerd-shim-enclos-v2"
_THEN: Final = "k3s reads it by: systemctl restart k3s, or k3s-agent on an agent"


def run(asked: Parsed) -> int:
    """Put the handler at the end of the template, or take it out."""
    place = Path(asked.text("directory", DIRECTORY))
    try:
        version = containerdconfig.version_of(registration.read(place / MADE))
        path = place / TEMPLATES.get(version, TEMPLATES[2])
        before = registration.read(path)
        if asked.on("undo"):
            after = containerdconfig.unregister(before)
        else:
            program = registration.program(SHIM)
            after = containerdconfig.register_template(before, program, version=version)
    except InvalidRequest as error:
        raise InvalidRequest(f"cannot set up {place}: {error.message}", hint=error.hint) from error
    return registration.carry_out(
        Change(path, before, after), dry_run=asked.on("dry-run"), then=_THEN
    )
