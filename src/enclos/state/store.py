"""The directories and files below a state root; the only code of this room that writes.

Layout: `containers/ID/` and `sandboxes/SID/`, each reserved by an exclusive mkdir and readable
by root alone. What the files say is the business of `records` and `ledger`. Files appear by
rename, so a reader never meets half of one.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from enclos.errors import Exists, HostUnfit, Unclean
from enclos.ids import check_id
from enclos.linux import files, pid
from enclos.linux.pid import ProcessRef
from enclos.structs import dataclass

MAX_FILE_BYTES: Final = 16 << 20
_OWNER: Final = "creator"
_HINT: Final = "run as root, or choose another root directory"


@dataclass(frozen=True, slots=True)
class StateRoot:
    """A state root by its path; nothing is made before something is reserved."""

    path: Path

    def container(self, container_id: str) -> Path:
        """The directory of a container, existing or not; raises `InvalidRequest`."""
        return self.path / "containers" / check_id(container_id)

    def sandbox(self, sandbox_id: str) -> Path:
        """The directory of a sandbox, existing or not; raises `InvalidRequest`."""
        return self.path / "sandboxes" / check_id(sandbox_id)

    def container_ids(self) -> list[str]:
        """Ids of all containers, those being created as well, sorted."""
        return _names(self.path / "containers")

    def sandbox_ids(self) -> list[str]:
        """Ids of all sandboxes, sorted."""
        return _names(self.path / "sandboxes")


def reserve(root: StateRoot, container_id: str) -> Path:
    """Take `container_id`; raises `Exists` if it is taken and `HostUnfit` if we may not write.

    The caller's pid is noted, so that `is_abandoned` can tell when it died half way.
    """
    directory = root.container(container_id)
    try:
        new_directory(directory)
    except FileExistsError as error:
        raise Exists(
            f"container {container_id}: container with given ID already exists",
            hint="delete that container or choose another id",
        ) from error
    me = pid.this_process()
    try:
        write_file(directory / _OWNER, f"{me.pid} {me.start}".encode())
    except BaseException:
        remove(directory)
        raise
    return directory


def reserve_sandbox(root: StateRoot, sandbox_id: str) -> Path:
    """Take `sandbox_id`, which must be new; raises `Exists` and `HostUnfit`."""
    directory = root.sandbox(sandbox_id)
    try:
        new_directory(directory)
    except FileExistsError as error:
        raise Exists(f"sandbox {sandbox_id} exists") from error
    return directory


def creator(directory: Path) -> ProcessRef | None:
    """Who reserved the container with this directory; None if that was not noted."""
    try:
        words = files.read_bounded(directory / _OWNER, 100).split()
        return ProcessRef(int(words[0]), int(words[1]))
    except (FileNotFoundError, NotADirectoryError, ValueError, IndexError):
        return None


def write_file(path: Path, data: bytes) -> None:
    """Write one file of the state room, by rename; raises `OSError`."""
    files.write_atomic(path, data, mode=0o600)


def new_file(path: Path, data: bytes) -> None:
    """Write a file that must not exist, whole or not at all; raises `FileExistsError`."""
    files.write_atomic(path, data, mode=0o600, new=True)


def read_file(path: Path) -> bytes:
    """One file of the state room; raises `FileNotFoundError`, and `Unclean` if it is no file."""
    try:
        return files.read_bounded(path, MAX_FILE_BYTES)
    except (IsADirectoryError, PermissionError) as error:
        raise Unclean(f"cannot read the state file {path}: {error}") from error


def make_directory(path: Path) -> None:
    """Make a directory with its parents; existing already is done. Raises `HostUnfit`."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise HostUnfit(f"cannot make the directory {path}: {error}", hint=_HINT) from error


def new_directory(path: Path) -> None:
    """Make a directory that must not exist; raises `FileExistsError`, `HostUnfit`."""
    make_directory(path.parent)
    try:
        path.mkdir(mode=0o700)
    except PermissionError as error:
        raise HostUnfit(f"cannot make the directory {path}: {error}", hint=_HINT) from error


def set_aside(path: Path) -> None:
    """Make room for a new file of this name; the old one is beside it, as `.1`, the only such."""
    path.replace(path.with_name(f"{path.name}.1"))


def link(path: Path, text: str) -> None:
    """Make a symbolic link that says `text`: atomic, and `FileExistsError` if there is one."""
    path.symlink_to(text)


def remove_file(path: Path) -> None:
    """Remove one file; gone already is done."""
    path.unlink(missing_ok=True)


def remove(directory: Path) -> None:
    """Remove a reserved directory with all its files; gone already is done.

    The name is freed in one step, so that no half of it can be taken for a container. Raises
    `Unclean` if something is mounted in it or the kernel refuses.
    """
    condemned = directory.with_name(f".{directory.name}.{os.urandom(4).hex()}.gone")
    try:
        directory.rename(condemned)
    except FileNotFoundError:
        return
    except OSError as error:
        raise Unclean(f"cannot remove {directory}: {error}", hint="see what uses it") from error
    remove_tree(condemned)


def purge_condemned(root: StateRoot) -> list[Path]:
    """Finish removals that a crash interrupted; answers what there was."""
    places = (root.path / "containers", root.path / "sandboxes")
    found = [path for place in places if place.is_dir() for path in sorted(place.glob(".*.gone"))]
    for path in found:
        remove_tree(path)
    return found


def remove_tree(directory: Path) -> None:
    """Remove a directory and all below it; gone already is done.

    Raises `Unclean` if something is mounted in it or the kernel refuses.
    """
    try:
        files.remove_tree(directory)
    except OSError as error:
        raise Unclean(
            f"cannot remove all of {directory}: {error}",
            hint="unmount what is mounted below it, then run: enclos sweep",
        ) from error


def _names(place: Path) -> list[str]:
    try:
        found = os.listdir(place)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(name for name in found if not name.startswith("."))
