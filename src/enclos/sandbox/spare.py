"""The interface that a machine has from its start, where it is known that it will need one.

The guest finds it together with its other devices. One that is plugged in later costs it a third
of a second under emulation: the port's interrupt, its waiting, another look at the bus. What is
behind it, a tap or a passt, comes to its place when the network is known.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from enclos import log
from enclos.errors import EnclosError
from enclos.hypervisor.qemu.argv import Nic
from enclos.structs import dataclass

if TYPE_CHECKING:
    from enclos.network.taps import Loose
    from enclos.oci.types import Spec

MAC: Final = "02:65:6e:63:6c:00"
"""Until the guest is told its own."""


@dataclass(frozen=True, slots=True)
class Wish:
    """An interface is going to be needed: a tap's, or passt's if it is a `stream`."""

    mac: str = MAC
    stream: bool = False


@dataclass(slots=True)
class Spare:
    """What leads to it; each part is there until it is taken."""

    nic: Nic
    tap: Loose | None = None
    stream: socket.socket | None = None
    qemus: socket.socket | None = None

    def given(self) -> None:
        """QEMU has its own copy: the end of the stream that we keep could not be seen else."""
        if self.qemus is not None:
            self.qemus.close()
            self.qemus = None

    def take_tap(self) -> Loose | None:
        """The tap; the caller closes it."""
        taken, self.tap = self.tap, None
        return taken

    def take_stream(self) -> socket.socket | None:
        """The other end of the interface's socket; the caller closes it."""
        taken, self.stream = self.stream, None
        return taken

    def close(self) -> None:
        """Let go of what has not been taken."""
        if (tap := self.take_tap()) is not None:
            tap.close()
        if (stream := self.take_stream()) is not None:
            stream.close()
        self.given()


def wish(spec: Spec) -> Wish | None:
    """What interface a container with this specification is going to need; None for none.

    A namespace that is named has it already, one that hooks are to fill probably will. What is
    wrong with a namespace is said by who joins it.
    """
    listed = spec.linux.namespaces if spec.linux else ()
    network = next((one for one in listed if one.type == "network"), None)
    if network is None:
        return Wish(stream=True)
    if not network.path:
        hooks = spec.hooks
        return Wish() if hooks and (hooks.prestart or hooks.create_runtime) else None
    try:
        return _of_namespace(network.path)
    except (EnclosError, OSError):
        return None


def _of_namespace(path: str) -> Wish | None:
    from enclos.network import namespace, tenants
    from enclos.plan import network

    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    with namespace.opened(descriptor, path) as found:
        if tenants.is_hosts(found.identity):
            return Wish(stream=True)
        links = network.endpoints(namespace.links(found.netlink))
    return Wish(links[0].mac) if links else None


@contextmanager
def made(wished: Wish | None, *, queues: int) -> Iterator[Spare | None]:
    """What is wished for; None where the host lacks what it takes, which is said later."""
    with ExitStack() as stack:
        spare = None
        if wished is not None:
            try:
                spare = _stream(wished) if wished.stream else _tap(wished, queues)
                stack.callback(spare.close)
            except (EnclosError, OSError) as error:
                log.info("the machine has no interface from its start", error=error)
        yield spare


def _stream(wished: Wish) -> Spare:
    qemus, passts = socket.socketpair()
    return Spare(Nic(wished.mac, (qemus.fileno(),), stream=True), stream=passts, qemus=qemus)


def _tap(wished: Wish, queues: int) -> Spare:
    from enclos.network import taps

    tap = taps.loose(queues=queues)
    return Spare(Nic(wished.mac, tap.descriptors), tap)
