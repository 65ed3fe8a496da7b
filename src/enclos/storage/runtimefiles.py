"""The files a container gets from its runtime, written into its directory: see plan/etcfiles."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from enclos.linux import files
from enclos.plan.etcfiles import EtcFile
from enclos.storage.disk import disk_errors


def write(home: Path, etc_files: Iterable[EtcFile]) -> None:
    """Write them anew; a container that runs keeps those it has mounted."""
    with disk_errors(f"cannot write the container's files in {home}"):
        for file in etc_files:
            files.write_atomic(home / file.name, file.text.encode("utf-8", "replace"), mode=0o644)
