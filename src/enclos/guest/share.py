"""Mounts the sandbox's virtiofs share, as soon as its device is there."""

from __future__ import annotations

import _thread
import os
import time
from collections.abc import Iterable
from typing import Any, Final

from enclos.errors import TimedOut, WrongState
from enclos.guest import console
from enclos.guest.agent import Agent
from enclos.guest.loop import HANGUP
from enclos.guest.records import Container
from enclos.guest.tasks import Promise
from enclos.linux import libc
from enclos.wire.messages import Nothing, Share
from enclos.wire.places import SHARE_PATH

_DEVICES: Final = "/sys/fs/virtiofs"
_TIMEOUT_S: Final = 10.0
_POLL_S: Final = 0.005


async def mount(agent: Agent, request: Share) -> Nothing:
    """Mount the device with this tag; raises `TimedOut` if none appears."""
    if os.path.ismount(SHARE_PATH):
        raise WrongState(f"a share is mounted already at {SHARE_PATH}")
    limit = time.monotonic() + _TIMEOUT_S
    while request.tag not in _tags():
        if time.monotonic() > limit:
            raise TimedOut(f"no virtiofs device {request.tag!r} within {_TIMEOUT_S:g} s")
        await agent.loop.sleep(_POLL_S)
    os.makedirs(SHARE_PATH, exist_ok=True)
    libc.mount(request.tag, SHARE_PATH, "virtiofs", 0, "")
    return Nothing()


def hold(container: Container, spec: Any) -> None:
    """Find the root and the volumes of a container before anybody makes a mount namespace.

    What is a mount on the host becomes one here when it is first found. Found here, it is the
    same for all containers, and stays until `let_go`; found in the namespace of one, it would be
    that one's own, and end with its last process: see there why that must not be.
    """
    below = f"{SHARE_PATH}/"
    sources = [mount.get("source", "") for mount in spec.get("mounts", ())]
    paths = [spec["root"]["path"], *sources]
    for name in {path[len(below) :].partition("/")[0] for path in paths if path.startswith(below)}:
        _ask_anew(below + name)
    for path in paths:
        where = os.path.realpath(path)
        if where.startswith(below) and os.path.isdir(f"{where}/."):
            container.mounts.add(where)


def _ask_anew(directory: str) -> None:
    """Have the host say what is there now, not what was there a second ago: a container that has
    just been deleted may have been called the same, and what is found below its directory would be
    its own, taken away when the kernel asks at last. For whatever is to be new it asks at once
    (fs/fuse/dir.c, `fuse_dentry_revalidate`)."""
    try:
        os.mkdir(directory)
    except FileExistsError:
        return


def keep(container: Container) -> None:
    """Keep what a container is yet to find, as what is found already, until it is left.

    Whatever the host has mounted below a volume becomes a mount of the container's own namespace,
    when it is found there, and would end with the last process.
    """
    try:
        container.namespace = os.open(
            f"/proc/{container.init.pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC
        )
    except FileNotFoundError:
        return  # it has been killed already


def leave(agent: Agent, container: Container) -> Promise[None]:
    """Let the mounts of a container end that has no process left; kept when they have.

    The share is asked first, as `let_go` does it; by a thread, so that nobody waits for a host that
    does not answer, nor for disks to be written out. (A process costs a clone a tenth of a second.)
    """
    done: Promise[None] = Promise()
    namespace, container.namespace = container.namespace, -1
    if namespace < 0:
        done.keep(None)
        return done
    reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def ended(_: int) -> None:
        agent.loop.forget(reader)
        os.close(reader)
        done.keep(None)

    agent.loop.watch(reader, HANGUP, ended)
    _thread.start_new_thread(_leave, (namespace, writer))
    return done


def _leave(namespace: int, writer: int) -> None:
    try:
        _ask_twice()
    except OSError as error:
        console.say(f"the share does not answer: {error}")
    finally:
        os.close(namespace)
        os.close(writer)


def _ask_twice() -> None:
    """Have the host answer: what it was asked before, and what followed from that."""
    os.statvfs(SHARE_PATH)
    os.statvfs(SHARE_PATH)


def let_go(container: Container, others: Iterable[Container]) -> None:
    """Let the host take away what no other container has.

    The kernel (fs/fuse/virtio_fs.c of 6.12, `virtio_kill_sb`) waits for nobody before it ends a
    mount below the share's own. A program that is killed while a page of it is read leaves its file
    open until the host has answered that, and a file that is open then is a bug for which the
    kernel stops. Answers come in the order of questions: first to the last read, then to the
    release that follows from it.
    """
    kept = {path for other in others if other is not container for path in other.mounts}
    gone = [path for path in container.mounts - kept if os.path.ismount(path)]
    if gone:
        _ask_twice()
    for path in gone:
        libc.umount2(path, libc.MNT_DETACH)
    container.mounts.clear()


def unmount() -> None:
    """Let go of the share, whoever uses it still."""
    if os.path.ismount(SHARE_PATH):
        libc.umount2(SHARE_PATH, libc.MNT_DETACH)


def _tags() -> set[str]:
    tags: set[str] = set()
    if not os.path.isdir(_DEVICES):
        return tags
    for entry in os.listdir(_DEVICES):
        with open(f"{_DEVICES}/{entry}/tag", encoding="utf-8") as file:
            tags.add(file.read().removesuffix("\n"))
    return tags
