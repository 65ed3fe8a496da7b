"""The supervisor's socket: one row per request, and what a client's end means.

Only root can open the socket's directory. A client that goes away in the middle is forgotten;
one that was a stand-in takes its container along (a killed stand-in must destroy it).
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Final

from enclos import log
from enclos.errors import EnclosError, InvalidRequest
from enclos.sandbox import (
    accepting,
    containers,
    ending,
    figures,
    growth,
    notices,
    passed,
    starvation,
    uplinks,
)
from enclos.sandbox.live import Sandbox
from enclos.wire import codec
from enclos.wire import control as c
from enclos.wire import messages as m
from enclos.wire.link import Handlers, Link, Request

Handler = Callable[..., Awaitable[object]]

_PLAIN: Final[dict[str, tuple[type, Handler]]] = {
    "start": (c.Named, containers.start),
    "signal": (m.Signal, containers.signal),
    "resize": (m.Resize, figures.resize),
    "pause": (c.Named, containers.pause),
    "resume": (c.Named, containers.resume),
    "look": (c.Named, containers.look),
    "keep": (c.KeptPorts, uplinks.keep_others),
    "delete": (c.Named, ending.remove),
    "abandon": (c.Named, ending.abandon),
    "wait": (c.Named, containers.wait),
    "ready": (c.Named, notices.ready),
    "stats": (c.Named, figures.stats),
    "processes": (c.Named, figures.processes),
    "update": (c.Update, growth.update),
    "watch": (c.Watch, starvation.watch),
    "status": (m.Nothing, figures.status),
}
_WITH_DESCRIPTORS: Final[dict[str, tuple[type[Any], Handler]]] = {
    "create": (c.Create, containers.create),
    "exec": (c.Exec, containers.run_exec),
    "attach": (c.Attach, containers.attach),
}


class Client:
    """One connection of a client."""

    def __init__(self, sandbox: Sandbox, connection: socket.socket) -> None:
        self._sandbox = sandbox
        self._stands: c.Stand | None = None
        self._gone = False
        self._tied: list[c.Named] = []
        handlers = Handlers(request=self._serve, closed=self._closed)
        self._link = Link(connection, handlers, name="client")
        sandbox.clients.add(self._link)

    async def _serve(self, request: Request) -> object:
        if request.method == "stand":
            return await self._stand(codec.decode(c.Stand, request.body))
        if request.method in _WITH_DESCRIPTORS:
            return await self._serve_with_descriptors(request)
        for descriptor in request.descriptors:
            os.close(descriptor)
        if request.method not in _PLAIN:
            raise InvalidRequest(f"unknown request {request.method[:40]!r}")
        kind, handler = _PLAIN[request.method]
        return await handler(self._sandbox, codec.decode(kind, request.body))

    async def _serve_with_descriptors(self, request: Request) -> object:
        kind, handler = _WITH_DESCRIPTORS[request.method]
        given = list(request.descriptors)
        with passed.closing(given):
            message: Any = codec.decode(kind, request.body)
            answer = await handler(self._sandbox, message, given)
        if isinstance(message, c.Create) and self._gone:
            await self._disown(message.id)
        elif isinstance(message, c.Create | c.Exec) and message.tied:
            exec_id = message.exec_id if isinstance(message, c.Exec) else ""
            self._tied.append(c.Named(message.id, exec_id))
            if self._gone:
                self._untie()
        return answer

    def _untie(self) -> None:
        """Its descriptors are not for a container to keep, which runs on without them."""
        for named in self._tied:
            container = self._sandbox.containers.get(named.id)
            process = container and container.find(named.exec_id)
            if process:
                process.untie()

    async def _stand(self, stand: c.Stand) -> c.Ended:
        container = self._sandbox.containers.get(stand.id)
        if container is None:
            raise InvalidRequest(f"no container {stand.id} to stand for")
        process = container.process(stand.exec_id)
        process.standin_pid = stand.pid
        self._stands = stand
        ended = await containers.wait(self._sandbox, c.Named(stand.id, stand.exec_id))
        self._stands = None
        return ended

    async def _disown(self, container_id: str) -> None:
        """Remove a container whose creator went away while it was being created."""
        log.info("its creator went away", container=container_id)
        await ending.remove(self._sandbox, c.Named(container_id))

    def _closed(self, _: EnclosError) -> None:
        self._gone = True
        self._untie()
        self._sandbox.clients.discard(self._link)
        if not self._sandbox.containers and not self._sandbox.hosted:
            ending.stop(self._sandbox, "its creator went away before it had a container")
        stand, self._stands = self._stands, None
        if stand is None:
            return
        log.info("stand-in went away", container=stand.id, exec=stand.exec_id)
        everyone = not stand.exec_id
        kill = m.Signal(stand.id, 9, exec_id=stand.exec_id, everyone=everyone)
        task = asyncio.get_running_loop().create_task(_destroy(self._sandbox, kill))
        self._sandbox.tasks.add(task)
        task.add_done_callback(self._sandbox.tasks.discard)


async def _destroy(sandbox: Sandbox, kill: m.Signal) -> None:
    container = sandbox.containers.get(kill.id)
    if container is not None and ending.is_first(sandbox, container) and not kill.exec_id:
        ending.stop(sandbox, "its stand-in process was killed")
        return
    try:
        await containers.signal(sandbox, kill)
    except EnclosError as error:
        log.info("nothing left to kill", container=kill.id, error=error)


def listen(sandbox: Sandbox, listener: socket.socket) -> None:
    """Accept clients from now on."""
    listener.setblocking(False)

    def welcome(connection: socket.socket) -> None:
        Client(sandbox, connection)

    accepting.accept(listener, welcome)
