"""The host's architecture in Go's words, which image configurations use."""

from __future__ import annotations

import os
from typing import Final

_GO_NAMES: Final = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "arm",
    "armv6l": "arm",
    "i686": "386",
    "i386": "386",
    "loongarch64": "loong64",
}


def host_architecture() -> str:
    """`amd64`, `arm64`, …: what an image for this host says of itself."""
    machine = os.uname().machine
    return _GO_NAMES.get(machine, machine)
