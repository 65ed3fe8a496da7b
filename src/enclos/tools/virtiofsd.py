"""virtiofsd: one per sandbox, serving the sandbox's share directory from inside a jail.

It serves a root file system, so it is uid 0 in its jail with exactly the capabilities that
takes (decision 4); its own seccomp filter is on. The guest's `trusted.*` and `security.capability`
attributes are renamed on the way, so that a hostile guest cannot plant attributes that the
host's kernel acts upon. Needs virtiofsd 1.11 or newer.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from enclos.linux import jail, unixsocket
from enclos.structs import dataclass

PROGRAM: Final = "/usr/libexec/virtiofsd"
CAPABILITIES: Final = frozenset(
    {
        "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID",
        "CAP_SETUID", "CAP_SETGID", "CAP_MKNOD", "CAP_SETFCAP",
    }
)  # fmt: skip
_AT_START: Final = CAPABILITIES | {"CAP_SETPCAP"}
"""virtiofsd clears its bounding set itself, which takes this one, and drops it in doing so."""
XATTR_MAP: Final = ":prefix:client:trusted.:user.enclos.::ok:server:user.enclos.::ok:all:::"


@dataclass(frozen=True, slots=True)
class Virtiofsd:
    """A started server and the vhost-user socket that QEMU is given."""

    spawned: jail.Spawned
    connection: socket.socket

    @property
    def pid(self) -> int:
        """Host pid, init of its own pid namespace."""
        return self.spawned.pid


def arguments(listener: int) -> list[str]:
    """The argument list, program first."""
    return [
        PROGRAM,
        "--shared-dir=/share",
        f"--fd={listener}",
        "--sandbox=none",
        "--seccomp=kill",
        "--announce-submounts",
        "--inode-file-handles=never",
        "--cache=auto",
        "--xattr",
        "--allow-direct-io",
        "--rlimit-nofile=0",
        "--modcaps=-dac_read_search",
        "--log-level=warn",
    ]


@contextmanager
def serving(
    tool_root: Path, share: Path, rendezvous: Path, *, output: int, entrance: Sequence[int] = ()
) -> Iterator[Virtiofsd]:
    """A virtiofsd on `share`; `rendezvous` is a free path for its short-lived socket.

    `entrance` leads into its control group. The caller confirms the jail. Killed and reaped when
    the context ends.
    """
    listener = unixsocket.listen(rendezvous.parent, rendezvous.name, backlog=1)
    client = unixsocket.connect(rendezvous.parent, rendezvous.name)
    try:
        rendezvous.unlink()
        cell = jail.Jail(
            os.fspath(tool_root),
            uid=0,
            gid=0,
            capabilities=_AT_START,
            binds=((os.fspath(share), "/share"),),
        )
        spawned = jail.spawn(
            cell,
            arguments(listener.fileno()),
            keep=[listener.fileno()],
            output=output,
            entrance=entrance,
        )
    except BaseException:
        client.close()
        raise
    finally:
        listener.close()
    try:
        yield Virtiofsd(spawned, client)
    finally:
        client.close()
        jail.reap(spawned.pid)
