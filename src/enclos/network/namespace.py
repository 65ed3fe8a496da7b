"""Network namespaces: looks at who one is, and what is in it, without changing anything.

`Namespace` is the handle by which everything else in this room works there: a netlink socket
belongs to the namespace it was opened in, so nobody has to enter it again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from enclos.errors import InvalidRequest
from enclos.linux import libc, namespaces
from enclos.linux.netlink import GROUPS, Netlink
from enclos.plan.network import Facts
from enclos.structs import dataclass
from enclos.wire import rtnetlink
from enclos.wire.rtnetlink import Link

_KINDS = ("address", "route", "rule", "neighbour")


@dataclass(frozen=True, slots=True)
class Namespace:
    """An open network namespace. `path` is where it can be found again, as long as it is there."""

    path: str
    descriptor: int
    identity: tuple[int, int]
    netlink: Netlink
    notices: Netlink

    @property
    def name(self) -> str:
        """A short name that no other namespace of this host has while this one is open."""
        return f"net-{self.identity[1]}"


@contextmanager
def opened(descriptor: int, path: str) -> Iterator[Namespace]:
    """The namespace behind `descriptor`, which is taken over.

    Raises `InvalidRequest` if it is none.
    """
    with ExitStack() as stack:
        stack.callback(os.close, descriptor)
        with inside(descriptor, path):
            netlink = stack.enter_context(Netlink())
            notices = stack.enter_context(Netlink(groups=tuple(GROUPS.values())))
        found = os.fstat(descriptor)
        identity = (found.st_dev, found.st_ino)
        yield Namespace(path, descriptor, identity, netlink, notices)


@contextmanager
def inside(descriptor: int, path: str = "") -> Iterator[None]:
    """Be in the namespace for a moment, this thread only; raises `InvalidRequest` if it is none."""
    own = namespaces.open_namespace(namespaces.path_of("network"))
    try:
        try:
            libc.setns(descriptor, libc.CLONE_NEWNET)
        except OSError as error:
            raise InvalidRequest(
                f"{path or descriptor} is no network namespace: {error.strerror}",
                hint="see linux.namespaces in config.json",
            ) from error
        try:
            yield
        finally:
            libc.setns(own, libc.CLONE_NEWNET)
    finally:
        os.close(own)


def new() -> int:
    """A descriptor of a new namespace, without a name."""
    own = namespaces.open_namespace(namespaces.path_of("network"))
    try:
        libc.unshare(libc.CLONE_NEWNET)
        try:
            return namespaces.open_namespace(namespaces.path_of("network"))
        finally:
            libc.setns(own, libc.CLONE_NEWNET)
    finally:
        os.close(own)


def look(namespace: Namespace) -> Facts:
    """All links, addresses, routes, rules and neighbours."""
    netlink = namespace.netlink
    found = tuple(links(netlink))
    entries = tuple(
        rtnetlink.entry(kind, body)
        for kind in _KINDS
        for body in netlink.dump(rtnetlink.KINDS[kind].get, rtnetlink.all_of(kind))
    )
    return Facts(found, entries)


def links(netlink: Netlink) -> list[Link]:
    """The interfaces of the namespace that the socket is of."""
    return [rtnetlink.link(body) for body in netlink.dump(rtnetlink.GETLINK, rtnetlink.ALL_LINKS)]


def find(path: str, identity: tuple[int, int]) -> int | None:
    """A descriptor of the namespace at `path`, or None if that is gone or another one by now."""
    try:
        if namespaces.identity_of(Path(path)) != identity:
            return None
        return namespaces.open_namespace(Path(path))
    except OSError:
        return None
