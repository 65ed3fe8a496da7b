"""passt: a guest's packets become sockets of a network namespace, which nobody has to configure.

One per sandbox that shares a namespace with others, in a jail like QEMU's: an unprivileged uid,
no capabilities. What makes it more than that is the namespace it works in. It accepts no
connections: which ones the guest gets is decided elsewhere (decision 25). Needs passt of 2024 or
newer.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from enclos.linux import jail

PROGRAM: Final = "/usr/bin/passt"
MAC: Final = "9a:55:9a:55:9a:55"
"""Whom the guest sees behind every address."""


@dataclass(frozen=True, slots=True)
class Passt:
    """A started passt and the socket that QEMU is given."""

    spawned: jail.Spawned
    connection: socket.socket

    @property
    def pid(self) -> int:
        """Host pid, init of its own pid namespace."""
        return self.spawned.pid


def arguments(connection: int, addresses: tuple[str, ...]) -> list[str]:
    """The argument list, program first; `addresses` are the guest's, one of each family."""
    return [
        PROGRAM,
        "--foreground",
        "--quiet",
        f"--fd={connection}",
        f"--mac-addr={MAC}",
        "--tcp-ports=none",
        "--udp-ports=none",
        "--no-map-gw",
        "--no-dhcp",
        "--no-dhcpv6",
        "--no-ra",
        *(f"--address={address}" for address in addresses),
    ]


@contextmanager
def sharing(
    tool_root: Path, network: int, addresses: tuple[str, ...], *, uid: int, output: int
) -> Iterator[Passt]:
    """A passt in the network namespace behind `network`; killed and reaped when the context ends.

    The caller confirms the jail.
    """
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            cell = jail.Jail(os.fspath(tool_root), uid=uid, gid=uid, network=network)
            number = theirs.fileno()
            spawned = jail.spawn(cell, arguments(number, addresses), keep=[number], output=output)
        try:
            yield Passt(spawned, ours)
        finally:
            jail.reap(spawned.pid)
