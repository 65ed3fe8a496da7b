"""What the runtime's options say, whatever message they came in."""

from __future__ import annotations

from enclos.structs import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """`config_path` names a file of settings, `config_body` is one as text."""

    config_path: str = ""
    config_body: bytes = b""
    systemd_cgroup: bool = False
