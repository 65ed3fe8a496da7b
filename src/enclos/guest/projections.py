"""Volumes that their owner on the host swaps as a whole, kept here and swapped in the same way.

Kubernetes' ConfigMaps, secrets and their like are a directory of links by way of one link,
`..data`, to a directory with the contents; an update is a new directory and one rename. Programs
wait for it by inotify, which the share cannot report. So the container has a copy, in memory,
and when the host tells of a rename there is one here. What is copied is what the share shows.
"""

from __future__ import annotations

import os
import re
import stat
from typing import Final

from enclos.errors import GuestFailed, InvalidRequest
from enclos.guest.agent import Agent
from enclos.ids import check_id
from enclos.wire.messages import Nothing, Project
from enclos.wire.places import PROJECTED_LINK, PROJECTIONS_PATH, SHARE_PATH

_NAME: Final = re.compile(r"m[0-9]{1,4}")
_TEMPORARY: Final = "..data_tmp"
_PIECE_BYTES: Final = 1 << 20
_DEEPEST: Final = 32


async def project(_: Agent, request: Project) -> Nothing:
    """Bring a volume up to date; one that nobody has (any more) is left alone."""
    share, place = _paths(request.id, request.name)
    if os.path.isdir(place):
        _bring(share, place, request.data)
    return Nothing()


def fill(container_id: str, names: tuple[str, ...]) -> None:
    """Copy the volumes of a container that is about to be made."""
    for name in names:
        share, place = _paths(container_id, name)
        top = os.stat(share)
        os.makedirs(place, mode=0o755)
        os.chown(place, top.st_uid, top.st_gid)
        os.chmod(place, stat.S_IMODE(top.st_mode))
        _bring(share, place, os.readlink(f"{share}/{PROJECTED_LINK}"))


def forget(container_id: str) -> None:
    """Remove a container's copies, if it has any."""
    _remove(f"{PROJECTIONS_PATH}/{check_id(container_id)}")


def _paths(container_id: str, name: str) -> tuple[str, str]:
    if not _NAME.fullmatch(name):
        raise InvalidRequest(f"{name[:40]!r} is the name of no volume")
    below = f"{check_id(container_id)}/{name}"
    return f"{SHARE_PATH}/{below}", f"{PROJECTIONS_PATH}/{below}"


def _bring(share: str, place: str, data: str) -> None:
    """Make `place` what `share` is with the contents `data`, in the order in which kubelet does."""
    if "/" in data or not data.startswith("..") or data in {"..", PROJECTED_LINK, _TEMPORARY}:
        raise InvalidRequest(f"{data[:80]!r} is no directory of a projected volume")
    try:
        if not os.path.lexists(f"{place}/{data}"):
            _copy(f"{share}/{data}", f"{place}/{data}", 0)
        _link(data, place, PROJECTED_LINK)
        _show(share, place)
    except OSError as error:
        raise GuestFailed(f"cannot copy a projected volume: {error}") from error
    for name in os.listdir(place):
        if name.startswith("..") and name not in {data, PROJECTED_LINK}:
            _remove(f"{place}/{name}")


def _show(share: str, place: str) -> None:
    """The links that a container looks at: new ones appear, stale ones go."""
    wanted = {name for name in os.listdir(share) if not name.startswith("..")}
    for name in sorted(wanted):
        target = os.readlink(f"{share}/{name}")
        if not os.path.lexists(f"{place}/{name}") or os.readlink(f"{place}/{name}") != target:
            _link(target, place, name)
    for name in os.listdir(place):
        if not name.startswith("..") and name not in wanted:
            os.unlink(f"{place}/{name}")


def _link(target: str, place: str, name: str) -> None:
    os.symlink(target, f"{place}/{_TEMPORARY}")
    os.rename(f"{place}/{_TEMPORARY}", f"{place}/{name}")


def _copy(source: str, target: str, depth: int) -> None:
    """Directories, files and links, with their owners and modes; nothing else is in there."""
    found = os.lstat(source)
    if stat.S_ISLNK(found.st_mode):
        os.symlink(os.readlink(source), target)
        os.lchown(target, found.st_uid, found.st_gid)
        return
    if stat.S_ISDIR(found.st_mode):
        if depth > _DEEPEST:
            raise GuestFailed("a projected volume is too deep")
        os.mkdir(target, 0o700)
        for name in os.listdir(source):
            _copy(f"{source}/{name}", f"{target}/{name}", depth + 1)
    elif stat.S_ISREG(found.st_mode):
        with open(source, "rb") as reader, open(target, "xb") as writer:
            while piece := reader.read(_PIECE_BYTES):
                writer.write(piece)
    os.chown(target, found.st_uid, found.st_gid)
    os.chmod(target, stat.S_IMODE(found.st_mode))


def _remove(path: str) -> None:
    """Delete a tree, if it is there."""
    if not os.path.lexists(path):
        return
    if os.path.islink(path) or not os.path.isdir(path):
        os.unlink(path)
        return
    for name in os.listdir(path):
        _remove(f"{path}/{name}")
    os.rmdir(path)
