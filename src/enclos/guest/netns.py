"""The containers' network namespaces in the guest: made, named, entered for a moment.

They are apart from the agent's own, in which interfaces arrive. Each is a file of DIRECTORY by
the name the host gives it; a container finds its own by a link called after it (`link_of`),
because its spec is written before the host knows which one that will be. One is made ahead and
lies in the template.
"""

from __future__ import annotations

import os
import socket
from typing import Final

from enclos.errors import NotFound
from enclos.ids import check_id
from enclos.linux import libc
from enclos.linux.netlink import Netlink
from enclos.wire import rtnetlink
from enclos.wire.places import NETWORKS_PATH

_SPARE: Final = f"{NETWORKS_PATH}/.spare"
_OWN: Final = "/proc/self/ns/net"
_LOOPBACK: Final = 1


class GuestNetwork:
    """An open network namespace; `indexes` maps the host's numbers of interfaces to its own.

    `mirrored` are listeners that stand for the host's, by place; `knocking` who connected there
    and waits for the host, by the number that was told. `resolvers` and `asking` are the same
    for datagrams. `spare` is the host's number of the interface that the machine has from its
    start, 0 if that is not here. `ipv6`: whether its loopback was left to speak it.
    """

    def __init__(self, name: str) -> None:
        self.name: Final = name
        self.descriptor: Final = os.open(f"{NETWORKS_PATH}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        with inside(self.descriptor):
            self.netlink: Final = Netlink()
        self.watched = False
        self.spare = 0
        self.ipv6 = True
        self.mirrored: Final[dict[tuple[str, int], socket.socket]] = {}
        self.resolvers: Final[dict[tuple[str, int], socket.socket]] = {}
        self.asking: Final[dict[int, tuple[socket.socket, tuple[str, int]]]] = {}
        self.knocking: Final[dict[int, socket.socket]] = {}
        self.indexes: Final[dict[int, int]] = {_LOOPBACK: _LOOPBACK}

    def close(self) -> None:
        """Let go of it, and of its name: it ends with the last process in it."""
        self.netlink.close()
        os.close(self.descriptor)
        path = f"{NETWORKS_PATH}/{self.name}"
        libc.umount2(path, libc.MNT_DETACH)
        os.unlink(path)


def prepare() -> None:
    """Make one for the first container."""
    os.makedirs(NETWORKS_PATH, mode=0o755, exist_ok=True)
    _make(_SPARE)


def find(networks: dict[str, GuestNetwork], name: str) -> GuestNetwork:
    """The network called `name`, made if there is none; raises `InvalidRequest` for no name."""
    if name not in networks:
        check_id(name)
        path = f"{NETWORKS_PATH}/{name}"
        if os.path.exists(_SPARE):
            _bind(_SPARE, path)
            libc.umount2(_SPARE, libc.MNT_DETACH)
            os.unlink(_SPARE)
        else:
            _make(path)
        networks[name] = GuestNetwork(name)
    return networks[name]


def known(networks: dict[str, GuestNetwork], name: str) -> GuestNetwork:
    """The network called `name`; raises `NotFound`."""
    if name not in networks:
        raise NotFound(f"there is no network {name[:60]!r}")
    return networks[name]


def adopt(networks: dict[str, GuestNetwork], name: str, pid: int) -> None:
    """Know the namespace of process `pid`, which crun made, by `name` from now on."""
    if name not in networks:
        check_id(name)
        _bind(f"/proc/{pid}/ns/net", f"{NETWORKS_PATH}/{name}")
        networks[name] = GuestNetwork(name)


def give(networks: dict[str, GuestNetwork], name: str, container_id: str) -> None:
    """Let the container find the network called `name`."""
    find(networks, name)
    os.symlink(name, link_of(container_id))


def take_back(networks: dict[str, GuestNetwork], container_id: str) -> GuestNetwork | None:
    """The container is gone; its network, to be closed, if no other container has it."""
    link = link_of(container_id)
    if not os.path.islink(link):
        return None
    name = os.readlink(link)
    os.unlink(link)
    return networks.pop(name) if name not in _given() else None


def link_of(container_id: str) -> str:
    """Where a container's spec says that its network namespace is."""
    return f"{NETWORKS_PATH}/of-{container_id}"


class inside:  # noqa: N801 - reads as a function, and contextlib is memory in every template
    """Be in the namespace behind `descriptor` for a moment; this process has one thread."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._own = -1

    def __enter__(self) -> None:
        self._own = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
        libc.setns(self._descriptor, libc.CLONE_NEWNET)

    def __exit__(self, *_: object) -> None:
        libc.setns(self._own, libc.CLONE_NEWNET)
        os.close(self._own)


def _given() -> set[str]:
    entries = (f"{NETWORKS_PATH}/{entry}" for entry in os.listdir(NETWORKS_PATH))
    return {os.readlink(entry) for entry in entries if os.path.islink(entry)}


def _make(path: str) -> None:
    """A new namespace, its loopback up, bound at `path`."""
    own = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        libc.unshare(libc.CLONE_NEWNET)
        try:
            _bind(_OWN, path)
            with Netlink() as netlink:
                netlink.request(rtnetlink.NEWLINK, rtnetlink.set_link(_LOOPBACK, up=True))
        finally:
            libc.setns(own, libc.CLONE_NEWNET)
    finally:
        os.close(own)


def _bind(source: str, path: str) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDONLY | os.O_CLOEXEC, 0o444))
    libc.mount(source, path, "", libc.MS_BIND, "")
