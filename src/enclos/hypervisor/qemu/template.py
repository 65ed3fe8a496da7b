"""Template files: a booted, idle guest's RAM and device state, to be restored again and again.

A template is a directory named by its key with `ram` (sparse), `state` and `manifest.json`, all
read-only. The key digests everything the files depend on, so a foreign template is never found;
a truncated one is noticed by the sizes in its manifest.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Final

from enclos.errors import MachineFailed, NotFound
from enclos.hypervisor.qemu import argv
from enclos.hypervisor.qemu.argv import Board
from enclos.linux import files
from enclos.structs import dataclass

FORMAT: Final = 1
KEPT: Final = 8
"""Templates kept on disk: the newest; what an older version or another board left is removed."""
_REMOVE: Final = "run: enclos template rm --all; the next start makes a new one"


@dataclass(frozen=True, slots=True)
class Template:
    """A template on disk; `touched_bytes` of its RAM are not zero."""

    key: str
    path: Path
    touched_bytes: int
    state_bytes: int
    created_s: int

    @property
    def ram(self) -> Path:
        """The sparse RAM file."""
        return self.path / "ram"

    @property
    def state(self) -> Path:
        """The device state."""
        return self.path / "state"


def key_of(board: Board, assets_key: str, host_cpu: str) -> str:
    """The digest of all that a template depends on."""
    parts = {
        "format": FORMAT,
        "board": asdict(board),
        "assets": assets_key,
        "machine": argv.MACHINE,
        "ports": argv.ROOT_PORTS,
        "line": argv.command_line(board),
        "model": argv.cpu_model(board),
        "cpu": host_cpu if board.accelerator == "kvm" else "",
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def find(root: Path, key: str) -> Template | None:
    """The template `key`, or None; a damaged one is removed so that it gets built again."""
    path = root / key
    try:
        return _read(path)
    except NotFound:
        return None
    except MachineFailed:
        shutil.rmtree(path, ignore_errors=True)
        return None


def all_templates(root: Path) -> list[Template]:
    """Every template below `root`, oldest first; raises `MachineFailed` for a damaged one."""
    found: list[Template] = []
    for path in sorted(root.iterdir()) if root.is_dir() else []:
        if (path / "manifest.json").is_file():
            found.append(_read(path))
    return sorted(found, key=lambda template: template.created_s)


def remove(template: Template) -> None:
    """Delete it, unless it is gone; running clones keep what they have."""
    shutil.rmtree(template.path, ignore_errors=True)


@contextmanager
def building(root: Path, key: str) -> Iterator[Path]:
    """A private directory to build `key` in, under a lock so that two starters build once.

    Check `find` again inside. The directory is removed unless `commit` renamed it away.
    """
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    with files.locked(root / f".{key}.lock", timeout_s=600):
        work = root / f".{key}.building"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(mode=0o700)
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)


def commit(work: Path, root: Path, key: str, *, ram: int) -> Template:
    """Copy the touched pages of the memory file `ram`, seal the files, and put them in force."""
    descriptor = os.open(work / "ram", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o400)
    try:
        touched = files.copy_nonzero(ram, descriptor)
    finally:
        os.close(descriptor)
    state = work / "state"
    state.chmod(0o400)
    manifest = {
        "format": FORMAT,
        "ram_bytes": os.fstat(ram).st_size,
        "touched_bytes": touched,
        "state_bytes": state.stat().st_size,
        "created_s": int(time.time()),
    }
    files.write_atomic(work / "manifest.json", json.dumps(manifest).encode(), mode=0o400)
    shutil.rmtree(root / key, ignore_errors=True)  # what `find` does not take for a template
    work.rename(root / key)
    _prune(root)
    return _read(root / key)


def _prune(root: Path) -> None:
    """Remove what is damaged, and of what is whole all but the newest."""
    for path in list(root.iterdir()):
        if (path / "manifest.json").is_file():
            find(root, path.name)
    for old in all_templates(root)[:-KEPT]:
        remove(old)


def _read(path: Path) -> Template:
    try:
        raw = json.loads((path / "manifest.json").read_bytes())
        whole = (
            (path / "ram").stat().st_size == raw["ram_bytes"]
            and (path / "state").stat().st_size == raw["state_bytes"]
            and raw["format"] == FORMAT
        )
        touched, state, created = raw["touched_bytes"], raw["state_bytes"], raw["created_s"]
    except FileNotFoundError as error:
        raise NotFound(f"no template at {path}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise MachineFailed(f"template {path.name} is damaged: {error}", hint=_REMOVE) from error
    if not whole:
        raise MachineFailed(f"template {path.name} is truncated", hint=_REMOVE)
    return Template(path.name, path, int(touched), int(state), int(created))
