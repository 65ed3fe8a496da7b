"""passt: a guest's packets become sockets of a network namespace, which nobody has to configure.

In a jail like QEMU's: an unprivileged uid, no capabilities but perhaps that for ports below 1024.
What makes it more than that is the namespace it works in. Needs passt of 2024 or newer.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from enclos.linux import jail
from enclos.structs import dataclass

PROGRAM: Final = "/usr/bin/passt"
MAC: Final = "9a:55:9a:55:9a:55"
"""Whom the guest sees behind every address."""


@dataclass(frozen=True, slots=True)
class Passt:
    """A started passt and the socket that QEMU is given, None if it has that already."""

    spawned: jail.Spawned
    connection: socket.socket | None

    @property
    def pid(self) -> int:
        """Host pid, init of its own pid namespace."""
        return self.spawned.pid


def arguments(connection: int, options: tuple[str, ...]) -> list[str]:
    """The argument list, program first."""
    return [
        PROGRAM,
        "--foreground",
        "--quiet",
        f"--fd={connection}",
        f"--mac-addr={MAC}",
        "--no-map-gw",
        "--no-dhcp",
        "--no-dhcpv6",
        "--no-ra",
        *options,
    ]


def shared(addresses: tuple[str, ...]) -> tuple[str, ...]:
    """Options for a guest that has its host's `addresses`, one of each family.

    It gets no connections by passt: which ones it gets is decided elsewhere (decision 25).
    """
    return (
        "--tcp-ports=none",
        "--udp-ports=none",
        *(f"--address={address}" for address in addresses),
    )


@contextmanager
def serving(
    tool_root: Path,
    network: int,
    options: tuple[str, ...],
    *,
    uid: int,
    output: int,
    low_ports: bool = False,
    connection: socket.socket | None = None,
) -> Iterator[Passt]:
    """A passt in the network namespace behind `network`; killed and reaped when the context ends.

    With `low_ports` it may listen at ports below 1024. At `connection`, if any, which is taken
    over, is its guest already. The caller confirms the jail.
    """
    rights = frozenset({"CAP_NET_BIND_SERVICE"}) if low_ports else frozenset[str]()
    cell = jail.Jail(os.fspath(tool_root), uid=uid, gid=uid, network=network, capabilities=rights)
    with ExitStack() as stack:
        ours = None
        if connection is None:
            ours, connection = socket.socketpair()
            stack.enter_context(ours)
        with connection:
            number = connection.fileno()
            spawned = jail.spawn(cell, arguments(number, options), keep=[number], output=output)
        stack.callback(jail.reap, spawned.pid)
        yield Passt(spawned, ours)
