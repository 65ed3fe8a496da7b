"""The shim in the supervisor's process: its socket, beside the supervisor's own.

It outlives the machine: containerd asks how its tasks ended, deletes them, and says when it is
done. A shim that nobody asks for anything ends by itself.
"""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final

from enclos import log
from enclos.errors import WrongState
from enclos.linux import fork
from enclos.linux.cgroup import layout
from enclos.linux.cgroup.layout import Mode
from enclos.sandbox import ending
from enclos.shim import address, table, watching
from enclos.shim.events import Publisher
from enclos.shim.server import Server, Services
from enclos.shim.tasks import Shim
from enclos.state import store

if TYPE_CHECKING:
    from enclos.sandbox.live import Process, Sandbox
    from enclos.sandbox.newcontainer import Prepared
    from enclos.sandbox.place import Place

NAME: Final = "enclos-shim"
LONELY_S: Final = 120
"""Between `start` and Create, and with no task at all."""
_LEAVING_S: Final = 10
"""After the last task of a machine that has ended: for a Shutdown that was lost."""
_DRAIN_S: Final = 5


class Front:
    """See `sandbox.supervisor.Front`."""

    def __init__(
        self,
        place: Place,
        prepared: Prepared | None,
        *,
        listener: socket.socket,
        path: Path,
        namespace: str,
        events: str,
        logs: int,
        debug: bool,
    ) -> None:
        self._place, self._prepared = place, prepared
        self._listener, self._path = listener, path
        self._namespace, self._events = namespace, events
        self._logs, self._debug = logs, debug
        self._shim: Shim | None = None
        self._server: Server | None = None
        self._serving: asyncio.Server | None = None

    async def serve(self, sandbox: Sandbox) -> None:
        """See `sandbox.supervisor.Front`."""
        self._settle()
        shim = self._shim = self._shim_of(sandbox)

        def begun(process: Process) -> None:
            watching.begun(shim, process)

        sandbox.begun = begun
        store.write_file(sandbox.plan.directory / address.SANDBOX_FILE, os.fsencode(self._path))
        await self._take(table.services(shim))
        watching.in_background(shim, shim.publisher.run())
        watching.in_background(shim, _end_if_lonely(shim))

    def _settle(self) -> None:
        """Be known as what we are, and log where containerd reads."""
        fork.set_process_name(NAME)
        fork.become_subreaper()
        if self._logs >= 0:
            os.dup2(self._logs, 2, inheritable=False)
        if self._debug:
            log.configure(level=log.Level.DEBUG)

    def _shim_of(self, sandbox: Sandbox) -> Shim:
        if self._prepared is None:
            raise WrongState("nothing has been prepared")
        return Shim(
            namespace=self._namespace,
            place=self._place,
            prepared=self._prepared,
            mounts=sandbox.outside,
            publisher=Publisher(self._events, self._namespace),
            sandbox=sandbox,
            unified=layout.detect().mode is Mode.UNIFIED,
        )

    async def _take(self, services: Services) -> None:
        """Answer these calls from now on."""
        if self._server is None:
            self._server = Server(services)
            self._serving = await self._server.listen(self._listener)
        self._server.services = services

    async def outlive(self) -> None:
        """See `sandbox.supervisor.Front`."""
        shim = self._shim
        if shim is None:
            return
        await _wait_unneeded(shim)
        await self._leave()
        for task in list(shim.background):
            task.cancel()

    async def _leave(self) -> None:
        """Give the socket back, once all has been answered and told."""
        address.withdraw(self._path, self._listener)
        if self._server is not None:
            await self._server.drain(timeout_s=_DRAIN_S)
        if self._shim is not None:
            await self._shim.publisher.flush(timeout_s=_DRAIN_S)
        if self._serving is not None:
            self._serving.close()
        if self._server is not None:
            self._server.close()


async def _end_if_lonely(shim: Shim) -> None:
    """End a machine that has not had a task for a long time."""
    while True:
        await asyncio.sleep(LONELY_S)
        if not shim.tasks:
            ending.stop(shim.sandbox, "nobody came for it")


async def _wait_unneeded(shim: Shim) -> None:
    """Until containerd says so, or for a while without a task."""
    while not shim.over.is_set():
        alone = not shim.tasks
        try:
            async with asyncio.timeout(_LEAVING_S):
                await shim.over.wait()
        except TimeoutError:
            if alone and not shim.tasks:
                log.info("no task is left, and nobody has said so")
                return
