"""Where the command works: the state root, by flag, setting or default."""

from __future__ import annotations

import os

from enclos.config import load
from enclos.errors import InvalidRequest
from enclos.ocicli.parse import Invocation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enclos.config.settings import Settings
    from enclos.sandbox.hostgroup import Manager
    from enclos.sandbox.place import Place
    from enclos.state.store import StateRoot


def root_text(call: Invocation) -> str:
    """The state root's path."""
    return call.globals.text("root") or load.state_root()


def root(call: Invocation) -> StateRoot:
    """The state root."""
    from pathlib import Path

    from enclos.state.store import StateRoot

    return StateRoot(Path(root_text(call)).absolute())


def place(call: Invocation) -> Place:
    """The state root with settings and host facts, for verbs that make something."""
    from enclos.sandbox.place import open_place

    settings = load.settings()
    _log(call, settings)
    return open_place(settings, root=root(call).path)


def manager(call: Invocation) -> Manager:
    """How control groups are named, or whether there are any."""
    from enclos.sandbox.hostgroup import Manager

    if call.globals.on("systemd-cgroup"):
        return Manager.SYSTEMD
    return Manager(call.globals.text("cgroup-manager", "cgroupfs"))


def _log(call: Invocation, settings: Settings) -> None:
    """Log to --log, in the form that engines read there; without it only errors, to stderr.

    Raises `InvalidRequest` for a file that cannot be written.
    """
    from enclos import log
    from enclos.ocicli import report

    path = call.globals.text("log")
    if not path:
        log.configure(level=log.Level.ERROR)
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise InvalidRequest(
            f"cannot open the log {path}: error {error.errno}", hint="give --log another file"
        ) from error
    form = call.globals.text("log-format", "text")
    wanted = min(log.Level.INFO, log.Level[settings.log_level.value.upper()])
    log.configure(
        level=log.Level.DEBUG if call.globals.on("debug") else wanted,
        fd=descriptor,
        entry=lambda level, message: report.entry_of(level, message, log_format=form),
    )
