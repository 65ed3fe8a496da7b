"""Where the verbs work: settings, state root and data root; and what may go wrong with that."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from enclos import log
from enclos.config import load
from enclos.config.settings import Settings
from enclos.errors import HostUnfit
from enclos.state.store import StateRoot
from enclos.structs import dataclass

if TYPE_CHECKING:
    from enclos.sandbox.place import Place


@dataclass(frozen=True, slots=True)
class Home:
    """What every verb starts from; `place` adds what starting a sandbox needs."""

    settings: Settings
    root: StateRoot
    data_root: Path

    def place(self) -> Place:
        """The place to create sandboxes in; imports the engine."""
        from enclos.sandbox.place import open_place

        return open_place(self.settings)


def open_home() -> Home:
    """The settings in force; raises `HostUnfit` for anybody but root, `InvalidRequest`."""
    if os.geteuid() != 0:
        raise HostUnfit("Enclos needs root", hint="run it as root, for example by sudo")
    settings = load.settings()
    configure_log(settings)
    return Home(settings, StateRoot(settings.state_root), settings.data_root)


def configure_log(settings: Settings) -> None:
    """Log as much as the settings say, unless a flag asked for more."""
    wanted = log.Level[settings.log_level.name]
    if not log.enabled(wanted):
        log.configure(level=wanted)
