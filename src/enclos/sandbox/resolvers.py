"""Questions of the guest for names, asked on the host's side of its network."""

from __future__ import annotations

import asyncio
import socket
from typing import Final

from enclos import log
from enclos.errors import EnclosError
from enclos.linux import listening
from enclos.network import namespace as namespaces
from enclos.network.namespace import Namespace
from enclos.wire import messages as m
from enclos.wire import netmessages as n
from enclos.wire.link import Link

_MOST_BYTES: Final = 65_535
_PATIENCE_S: Final = 10
_TIMEOUT_S: Final = 20


async def ask(namespace: Namespace, link: Link, question: n.Question) -> None:
    """Ask, and tell the agent the answer, or that there is none."""
    try:
        data = await _asked(namespace, question)
    except (OSError, ValueError, TimeoutError) as error:
        log.debug("a question for a name has no answer", error=error)
        data = b""
    message = n.Answer(namespace.name, question.number, data.hex())
    try:
        await link.call("answer", message, m.Nothing, timeout_s=_TIMEOUT_S)
    except EnclosError as error:
        log.debug("who asked has gone", error=error)


async def _asked(namespace: Namespace, question: n.Question) -> bytes:
    loop = asyncio.get_running_loop()
    kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
    with namespaces.inside(namespace.descriptor, namespace.path):
        asking = socket.socket(listening.family(question.where.address), kind)
    with asking:
        async with asyncio.timeout(_PATIENCE_S):
            await loop.sock_connect(asking, (question.where.address, question.where.port))
            await loop.sock_sendall(asking, bytes.fromhex(question.data))
            return await loop.sock_recv(asking, _MOST_BYTES)
