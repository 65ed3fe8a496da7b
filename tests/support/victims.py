"""The processes of a sandbox that somebody may kill, by what they are."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from enclos.state import ledger, records
from enclos.state.store import StateRoot

VICTIMS: Final = ("supervisor", "qemu", "virtiofsd", "stand-in")


def pid_of(state_root: Path, container_id: str, victim: str) -> int:
    """The host's pid of one of a container's processes."""
    root = StateRoot(state_root)
    if victim == "stand-in":
        return records.load_container(root, container_id).pid
    if victim == "supervisor":
        return records.load_sandbox(root, container_id).supervisor_pid
    held = ledger.of_sandbox(root.sandbox(container_id)).entries()
    return next(int(entry.fields["pid"]) for entry in held if entry.fields.get("name") == victim)
