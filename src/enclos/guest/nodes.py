"""The device nodes of a container's spec, completed with what only the guest's kernel knows.

Which number a disk has, and which devices there are at all: a privileged container gets the
nodes that the machine has, as it would get a host's.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator
from typing import Any, Final

from enclos.errors import InvalidRequest
from enclos.guest import disks
from enclos.guest.agent import Agent
from enclos.wire.messages import CreateContainer

_DEV: Final = "/dev"
_OTHERS: Final = frozenset({"pts", "shm", "mqueue"})
"""Directories with file systems of their own in every container."""
_CRUNS: Final = frozenset({"null", "zero", "full", "tty", "random", "urandom", "console", "ptmx"})
"""Nodes that every container gets."""
_ON_DEMAND: Final = (("loop-control", 10, 237), ("net/tun", 10, 200), ("kvm", 10, 232))
"""Devices whose drivers the kernel loads when somebody opens them."""
_TTY: Final = 4
_SCREENS: Final = 7
_FIRST_SERIAL: Final = 64
_CHARACTER: Final = stat.S_IFCHR | 0o666


async def complete(agent: Agent, request: CreateContainer, document: Any) -> str:
    """The spec of `request` with its disks and, if it gets them, all devices filled in.

    `document` is the same, decoded. Raises `InvalidRequest` for a device this kernel lacks.
    """
    linux = document.setdefault("linux", {})
    _require(linux)
    if not (request.disks or request.all_devices or request.local):
        return request.spec
    for disk in request.disks:
        number = disks.numbers(await disks.find(agent, disk.serial))
        _renumber(linux, linux["devices"][disk.node], number)
    if request.all_devices:
        wake_drivers()
        there = {node["path"] for node in linux.setdefault("devices", [])}
        linux["devices"] += [node for node in _nodes(_DEV) if node["path"] not in there]
    if request.local:
        await disks.prepare_local(agent, request.id, request.local)
    return json.dumps(document)


def _require(linux: Any) -> None:
    for node in linux.get("devices", []):
        if (node.get("major"), node.get("minor")) == (10, 232) and not _opens("kvm", 10, 232):
            raise InvalidRequest(
                f"{node['path']}: this machine cannot run machines itself",
                hint="leave it out, or use a host with KVM that allows nesting",
            )


def wake_drivers() -> None:
    """Have the drivers of what is there on demand loaded, and their nodes made."""
    for name, major, minor in _ON_DEMAND:
        _opens(name, major, minor)


def _opens(name: str, major: int, minor: int) -> bool:
    """Whether the kernel has something behind a number of a miscellaneous device."""
    path = f"{_DEV}/{name}"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    made = False
    if not os.path.exists(path):
        os.mknod(path, _CHARACTER, os.makedev(major, minor))
        made = True
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError as error:
        if error.errno not in {errno.ENODEV, errno.ENXIO}:
            return True
        if made:
            os.unlink(path)
        return False
    return True


def _renumber(linux: Any, node: Any, number: tuple[int, int]) -> None:
    """Give a node, and the rules about it, the guest's number for what was the host's."""
    before = (node["major"], node["minor"])
    for rule in linux.get("resources", {}).get("devices", []):
        if rule.get("type") == "b" and (rule.get("major"), rule.get("minor")) == before:
            rule["major"], rule["minor"] = number
    node["major"], node["minor"] = number


def _nodes(directory: str) -> Iterator[Any]:
    """An entry of linux.devices for every node of the guest's /dev."""
    for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
        found = entry.stat(follow_symlinks=False)
        if stat.S_ISDIR(found.st_mode):
            if directory != _DEV or entry.name not in _OTHERS:
                yield from _nodes(entry.path)
        elif _is_for_containers(found) and not (directory == _DEV and entry.name in _CRUNS):
            yield {
                "path": entry.path,
                "type": "b" if stat.S_ISBLK(found.st_mode) else "c",
                "major": os.major(found.st_rdev),
                "minor": os.minor(found.st_rdev),
                "fileMode": stat.S_IMODE(found.st_mode),
                "uid": found.st_uid,
                "gid": found.st_gid,
            }


def _is_for_containers(found: os.stat_result) -> bool:
    """A device, but none of a screen, which the machine has not, and no port of the agent's."""
    if stat.S_ISBLK(found.st_mode):
        return True
    major, minor = os.major(found.st_rdev), os.minor(found.st_rdev)
    screen = major == _SCREENS or (major == _TTY and minor < _FIRST_SERIAL)
    return stat.S_ISCHR(found.st_mode) and not screen and major != _ports_major()


def _ports_major() -> int:
    """The number of virtio-serial ports, of which the agent holds the only one."""
    with open("/proc/devices", encoding="ascii") as file:
        for line in file:
            number, _, name = line.strip().partition(" ")
            if name == "virtio-portsdev":
                return int(number)
    return -1
