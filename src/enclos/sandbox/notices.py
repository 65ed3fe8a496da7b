"""Passes on what a container says about how it is getting on (sd_notify(3)).

The caller opens the socket, since paths are as it sees them; the supervisor sends, as long as
the container lives. What is sent comes from the guest: a datagram of bounded size, which whoever
manages the container would get from a container of runc's as well.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from enclos import log
from enclos.errors import InvalidRequest, Lost
from enclos.linux import libc, unixsocket
from enclos.oci.types import Spec
from enclos.plan import notices
from enclos.plan.notices import Kind, Notices
from enclos.sandbox.client import Connection
from enclos.structs import dataclass
from enclos.wire import control as c
from enclos.wire import messages as m

if TYPE_CHECKING:  # creators need no loop
    from enclos.sandbox.live import Container, Sandbox

_READY: Final = b"READY="
_MOST_BYTES: Final = 4096


@dataclass(slots=True)
class Relay:
    """The way to who waits for a container's notices; `ready` once it has been told so."""

    connection: socket.socket
    kind: Kind
    ready: bool = False

    def send(self, data: bytes) -> None:
        """Pass a datagram on, unless nobody takes it."""
        try:
            self.connection.send(data)
        except OSError as error:
            log.debug("a notice is not taken", error=error)


def find(spec: Spec, bundle: Path, *, caller: str) -> Notices | None:
    """Whom a new container is to tell; `caller` is a socket that its creator waits at, or empty."""
    found = notices.in_spec(spec, os.fspath(bundle))
    if found is not None and _is_there(found):
        return found
    return notices.of_caller(caller) if caller else None


def open_socket(found: Notices | None, opened: ExitStack) -> list[int]:
    """A socket whose datagrams reach who is told; none if nobody is.

    Raises `InvalidRequest` where the creator's own cannot be had; one that stands in the
    specification may be anybody's, who has gone.
    """
    if found is None:
        return []
    try:
        connection = _connected(found)
    except OSError as error:
        if found.kind is Kind.READY:
            raise InvalidRequest(
                f"{notices.VARIABLE}: cannot use {found.host[:200]}: {error.strerror}",
                hint="unset the variable, or have somebody listen there",
            ) from error
        log.warning("nobody takes a container's notices", socket=found.host, error=error)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    opened.callback(connection.close)
    return [connection.fileno()]


def relay(request: c.Create, descriptors: list[int]) -> Relay | None:
    """What a supervisor has been handed for it, out of its list; closed with the container."""
    if not request.notices:
        return None
    return Relay(socket.socket(fileno=descriptors.pop()), Kind(request.notices))


def close(container: Container) -> None:
    """Tell nobody any more."""
    if container.relay is not None:
        container.relay.connection.close()
        container.relay = None


def note(sandbox: Sandbox, notice: m.Notice) -> None:
    """The guest says what a container says. Raises `InvalidRequest` for what is no datagram."""
    container = sandbox.containers.get(notice.id)
    if container is None or container.relay is None:
        return
    try:
        data = bytes.fromhex(notice.data)
    except ValueError as error:
        raise InvalidRequest(f"a notice that is not hexadecimal: {error}") from error
    if len(data) > _MOST_BYTES:
        raise InvalidRequest(f"a notice of {len(data)} bytes")
    if container.relay.kind is Kind.ALL:
        container.relay.send(data)
    else:
        _ready(container, container.relay, data)


def _ready(container: Container, to: Relay, data: bytes) -> None:
    """As runc has it: that it is ready, once, and which process stands for it."""
    lines = [line for line in data.split(b"\n") if line.startswith(_READY)]
    if to.ready or not lines:
        return
    to.send(lines[0] + b"\n")
    to.send(b"MAINPID=%d\n" % container.init.standin_pid)
    to.ready = True
    container.tell()


async def ready(sandbox: Sandbox, request: c.Named) -> None:
    """Wait until a container of which that is awaited has said that it is ready, or has ended."""
    container = sandbox.container(request.id)
    while (
        container.relay is not None
        and container.relay.kind is Kind.READY
        and not container.relay.ready
        and container.init.ended is None
    ):
        await container.news.wait()


def wait_ready(connection: Connection, container_id: str) -> None:
    """The same for a client; the end of the sandbox is an end as well."""
    try:
        connection.call("ready", c.Named(container_id), m.Nothing, timeout_s=None)
    except Lost as error:
        log.info("ended before it was ready", container=container_id, error=error)


def _is_there(found: Notices) -> bool:
    try:
        with _reached(found) as place:
            return stat.S_ISSOCK(os.fstat(place).st_mode)
    except OSError:
        return False


def _connected(found: Notices) -> socket.socket:
    """A path that begins with @ is a name in the network namespace, as systemd writes it."""
    if found.host.startswith("@"):
        return unixsocket.sender(found.host[1:])
    with _reached(found) as place:
        return unixsocket.sender(place)


@contextmanager
def _reached(found: Notices) -> Iterator[int]:
    """What is there now; raises `OSError`, also for a link where the guest may have put one."""
    place = os.open(found.host, os.O_PATH | os.O_CLOEXEC)
    try:
        if found.inner:
            resolve = libc.RESOLVE_BENEATH | libc.RESOLVE_NO_SYMLINKS
            outer, place = place, libc.openat2(place, found.inner, flags=os.O_PATH, resolve=resolve)
            os.close(outer)
        yield place
    finally:
        os.close(place)
