"""Where the command works: the state root, by flag, setting or default."""

from __future__ import annotations

from enclos.config import load
from enclos.ocicli.parse import Invocation

TYPE_CHECKING = False
if TYPE_CHECKING:
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
    from enclos import log
    from enclos.sandbox.place import open_place

    settings = load.settings()
    level = "debug" if call.globals.on("debug") else settings.log_level.value
    log_file = call.globals.text("log")
    if log_file:
        log.configure(level=log.Level[level.upper()], fd=_log_descriptor(log_file))
    else:
        log.configure(level=log.Level.ERROR)
    return open_place(settings, root=root(call).path)


def manager(call: Invocation) -> Manager:
    """How control groups are named, or whether there are any."""
    from enclos.sandbox.hostgroup import Manager

    if call.globals.on("systemd-cgroup"):
        return Manager.SYSTEMD
    return Manager(call.globals.text("cgroup-manager", "cgroupfs"))


def _log_descriptor(path: str) -> int:
    """The log file takes runc's lines as well; ours would break a JSON reader, so they go
    nowhere unless the file is only for us."""
    import os

    return os.open("/dev/null", os.O_WRONLY | os.O_CLOEXEC) if path else 2
