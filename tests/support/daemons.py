"""What belongs to a daemon of a test: its processes and its mounts, by the directory they name."""

from __future__ import annotations

import os
from pathlib import Path

from enclos.linux import libc, mountinfo, pid
from enclos.linux.pid import ProcessRef


def naming(word: str) -> list[ProcessRef]:
    """Processes with `word` in their command line, this one apart."""
    found: list[ProcessRef] = []
    for name in os.listdir("/proc"):
        try:
            if name.isdecimal() and word.encode() in Path(f"/proc/{name}/cmdline").read_bytes():
                found.append(ProcessRef(int(name), pid.start_time(int(name))))
        except OSError:
            continue  # ended meanwhile
    return [process for process in found if process.pid != os.getpid()]


def unmount(*places: Path) -> None:
    """Take away what a killed daemon left mounted below `places`; the innermost first."""
    for place in places:
        for entry in reversed(mountinfo.below(place)):
            libc.umount2(os.fspath(entry.target), libc.MNT_DETACH)
