"""Disks that were plugged into the machine, found by their serial numbers; and the one of its own.

The own disk is empty and the guest's alone: what must not lie in the share, such as the upper
layer of an overlay, has a directory there for each container.
"""

from __future__ import annotations

import os
import time
from typing import Final

from enclos.errors import GuestFailed, TimedOut
from enclos.guest.agent import Agent
from enclos.linux import libc
from enclos.wire.messages import RootDisk
from enclos.wire.places import LOCAL_PATH, LOCAL_SERIAL, ROOTS_PATH

_BUSYBOX: Final = "/usr/bin/busybox"
_BLOCK: Final = "/sys/block"
_RESCAN: Final = "/sys/bus/pci/rescan"
_TIMEOUT_S: Final = 20.0
_PATIENCE_S: Final = 1.0
_POLL_S: Final = 0.005


async def find(agent: Agent, serial: str) -> str:
    """The kernel's name of a disk, once it is there; raises `TimedOut`.

    The kernel is told of it by the slot; if that does not help it is asked to look.
    """
    begun = time.monotonic()
    asked = False
    while True:
        for name in os.listdir(_BLOCK):
            if _line(f"{_BLOCK}/{name}/serial") == serial:
                return name
        waited = time.monotonic() - begun
        if waited > _TIMEOUT_S:
            raise TimedOut(f"no disk {serial!r} within {_TIMEOUT_S:g} s")
        if waited > _PATIENCE_S and not asked:
            asked = True
            with open(_RESCAN, "w", encoding="ascii") as file:
                file.write("1")
        await agent.loop.sleep(_POLL_S)


def numbers(name: str) -> tuple[int, int]:
    """Major and minor number of a disk."""
    major, _, minor = _line(f"{_BLOCK}/{name}/dev").partition(":")
    return int(major), int(minor)


async def mount_root(agent: Agent, container_id: str, disk: RootDisk) -> None:
    """Mount a container's root file system for as long as it is made: it then has it in its own
    mount namespace, with whose end it is unmounted. Raises `GuestFailed` if it is no such thing.
    """
    name = await find(agent, disk.serial)
    path = f"{ROOTS_PATH}/{container_id}"
    os.makedirs(path, mode=0o700)
    try:
        libc.mount(f"/dev/{name}", path, disk.type, disk.flags, disk.data)
    except OSError as error:
        raise GuestFailed(
            f"cannot mount the root file system of type {disk.type}: {error.strerror}"
        ) from error


def leave_root(container_id: str) -> None:
    """Undo `mount_root` for whoever is not in the container; nothing to undo is as good."""
    path = f"{ROOTS_PATH}/{container_id}"
    if os.path.ismount(path):
        libc.umount2(path, libc.MNT_DETACH)
    if os.path.isdir(path):
        os.rmdir(path)


async def prepare_local(agent: Agent, container_id: str, count: int) -> None:
    """So many empty directories for a container on the machine's own disk."""
    if not os.path.ismount(LOCAL_PATH):
        name = await find(agent, LOCAL_SERIAL)
        os.makedirs(LOCAL_PATH, mode=0o700, exist_ok=True)
        try:
            libc.mount(f"/dev/{name}", LOCAL_PATH, "ext4", 0, "")
        except OSError as error:
            raise GuestFailed(f"cannot mount the machine's own disk: {error.strerror}") from error
    for number in range(count):
        os.makedirs(f"{LOCAL_PATH}/{container_id}/{number}", mode=0o755)


async def forget_local(agent: Agent, container_id: str) -> None:
    """Remove a container's directories, if it has any, by another process: it may take long."""
    if os.path.isdir(f"{LOCAL_PATH}/{container_id}"):
        pid = os.posix_spawn(_BUSYBOX, ["rm", "-rf", f"{LOCAL_PATH}/{container_id}"], {})
        await agent.reaper.ended(pid)


def _line(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""  # gone meanwhile, or no disk of this kind
