"""Settings with which a guest does not come up, and what is then to be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PANIC: Final = "rdinit=/nonexistent init=/nonexistent"
SILENT: Final = "rdinit=/usr/bin/python3.13"
"""A first process that reads its standard input and never greets."""


@dataclass(frozen=True, slots=True)
class BadGuest:
    """A name, the settings, the complaint and its hint."""

    name: str
    settings: dict[str, str]
    said: str
    hint: str


BAD: Final = (
    BadGuest(
        "panic",
        {"ENCLOS_KERNEL_ARGUMENTS": PANIC},
        "Kernel panic - not syncing",
        "assets verify",
    ),
    BadGuest(
        "silent",
        {
            "ENCLOS_KERNEL_ARGUMENTS": SILENT,
            "ENCLOS_BOOT_TIMEOUT_S": "5",
            "ENCLOS_TEMPLATE": "false",
        },
        "did not answer hello in 5 s",
        "boot_timeout_s",
    ),
)
