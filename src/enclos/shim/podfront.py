"""The shim of a pod that the sandbox service is to describe: until then nothing is booted.

Few shims are of this kind, so the others import nothing of it.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enclos.shim import pods, podtable
from enclos.shim.front import LONELY_S, Front
from enclos.shim.pods import Pod
from enclos.shim.server import Services
from enclos.shim.tasks import Shim

if TYPE_CHECKING:
    from enclos.sandbox.live import Sandbox
    from enclos.sandbox.place import Place
    from enclos.sandbox.supervisor import Start


class PodFront(Front):
    """See `sandbox.supervisor.WaitingFront`."""

    def __init__(self, place: Place, name: str, bundle: Path, **rest: Any) -> None:
        super().__init__(place, None, **rest)
        self._name, self._bundle = name, bundle
        self._pod: Pod | None = None

    async def wait_start(self) -> Start | None:
        """See `sandbox.supervisor.WaitingFront`."""
        self._settle()
        pod = self._pod = Pod(self._name, self._bundle, self._place)
        await self._take(podtable.services(pod))
        try:
            async with asyncio.timeout(LONELY_S):
                planned = await pod.planned
        except TimeoutError:
            planned = None
        if planned is None:
            await self._leave()
            return None
        self._prepared, start = planned
        return start

    def _shim_of(self, sandbox: Sandbox) -> Shim:
        shim = super()._shim_of(sandbox)
        shim.home = os.fspath(self._bundle / pods.HOME)
        return shim

    async def serve(self, sandbox: Sandbox) -> None:
        """See `sandbox.supervisor.Front`."""
        await super().serve(sandbox)
        if self._pod is not None:
            self._pod.shim = self._shim
            self._pod.served.set()

    async def _take(self, services: Services) -> None:
        every = dict(services)
        if self._pod is not None:
            every |= podtable.services(self._pod)
        await super()._take(every)

    async def outlive(self) -> None:
        """See `sandbox.supervisor.Front`."""
        if self._pod is not None:
            self._pod.gone.set()
        await super().outlive()
