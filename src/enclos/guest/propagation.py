"""Gives a container's mounts the propagation that its spec asks for.

crun 1.21 leaves all mounts but the root private, runc does not. So it is done once crun has
made the container, from a child in its mount namespace: by then the namespace's root is the
container's own, and no path of an image leads out of it.
"""

from __future__ import annotations

import errno
import os
from typing import Any, Final, NoReturn

from enclos.errors import GuestFailed
from enclos.guest.agent import Agent
from enclos.linux import libc

_WORDS: Final = {
    "shared": libc.MS_SHARED,
    "rshared": libc.MS_SHARED | libc.MS_REC,
    "slave": libc.MS_SLAVE,
    "rslave": libc.MS_SLAVE | libc.MS_REC,
    "unbindable": libc.MS_UNBINDABLE,
    "runbindable": libc.MS_UNBINDABLE | libc.MS_REC,
    "private": 0,
    "rprivate": 0,
}
_LOST: Final = 255


def wanted(spec: Any) -> list[tuple[str, int]]:
    """Destination and flags of the mounts of a decoded spec that are not to be private."""
    found: list[tuple[str, int]] = []
    for mount in spec.get("mounts", ()):
        asked = [_WORDS[option] for option in mount.get("options", ()) if option in _WORDS]
        if asked and asked[-1]:
            found.append((mount["destination"], asked[-1]))
    return found


async def apply(agent: Agent, pid: int, mounts: list[tuple[str, int]]) -> None:
    """Do it in the mount namespace of `pid`; raises `GuestFailed`."""
    if not mounts:
        return
    child = os.fork()
    if child == 0:
        _become(pid, mounts)
    status = await agent.reaper.ended(child)
    if status:
        reason = os.strerror(status) if status in errno.errorcode else f"status {status}"
        raise GuestFailed(f"cannot set the propagation of the container's mounts: {reason}")


def _become(pid: int, mounts: list[tuple[str, int]]) -> NoReturn:
    """The child's whole life: its status is the number of the error."""
    status = _LOST
    try:
        namespace = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        libc.setns(namespace, libc.CLONE_NEWNS)
        for destination, flags in mounts:
            libc.mount("", destination, "", flags, "")
        status = 0
    except OSError as error:
        status = error.errno or _LOST
    finally:
        os._exit(status)
