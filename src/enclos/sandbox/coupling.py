"""A connection on the host carried to its other end in the guest, as two streams of the link."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable
from typing import Final

from enclos import log
from enclos.errors import EnclosError
from enclos.wire import messages as m
from enclos.wire.inputs import Input
from enclos.wire.link import Link
from enclos.wire.outputs import Output

_TIMEOUT_S: Final = 20


async def couple(
    link: Link, connection: socket.socket, method: str, message: Callable[[int, int], object]
) -> None:
    """Carry `connection`, which is taken over, until both directions have ended.

    The agent is asked by `method` and `message(inward, outward)`; if it refuses, so is whoever
    is at the connection. Nothing is left if the task is cancelled.
    """
    connection.setblocking(False)
    inward, outward = Input(link, link.number()), Output(link, link.number())
    with connection:
        outward.attach(os.dup(connection.fileno()))  # before bytes can come
        try:
            asked = message(inward.number, outward.number)
            await link.call(method, asked, m.Nothing, timeout_s=_TIMEOUT_S)
            inward.attach(os.dup(connection.fileno()), ends=True)
            await outward.flushed.wait()
            _finish(connection)
            await inward.over.wait()
        except EnclosError as error:
            log.debug("nobody answers", asked=method, error=error)
            refuse(connection)
        finally:
            inward.end()
            outward.discard()


def refuse(connection: socket.socket) -> None:
    """End a connection as a port does where nobody listens."""
    with connection:
        linger = struct.pack("ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


def _finish(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_WR)
    except OSError as error:
        log.debug("it has gone", error=error)
