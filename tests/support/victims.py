"""The processes of a sandbox that somebody may kill, by what they are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from enclos.linux import pid
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


def machines(shim: int) -> list[int]:
    """The QEMUs below a shim."""
    return below(shim, b"qemu-system")


def below(shim: int, program: bytes) -> list[int]:
    """The processes below a shim with this in the name of their program."""
    found: list[int] = []
    for name in os.listdir("/proc"):
        if not name.isdecimal():
            continue
        try:
            words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
            if program in words[0] and _descends(int(name), shim):
                found.append(int(name))
        except OSError:
            continue  # ended meanwhile
    return found


def _descends(number: int, ancestor: int) -> bool:
    while number > 1:
        number = pid.parent(number)
        if number == ancestor:
            return True
    return False
