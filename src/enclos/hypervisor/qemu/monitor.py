"""QMP on a connected socket: commands, events by name, and errors of our tree.

Uses `qemu.qmp`; events may arrive before the answer of the command that caused them
(speed.md 3.1), so a listener is registered before the command is sent.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final, TypeAlias, cast

from qemu.qmp import ExecuteError, QMPClient, QMPError
from qemu.qmp.events import EventListener
from qemu.qmp.message import Message

from enclos.errors import MachineFailed, TimedOut

_CLOSE_S: Final = 2
Value: TypeAlias = object
"""A JSON value as QMP carries it."""


class Monitor:
    """A negotiated QMP connection."""

    def __init__(self, client: QMPClient) -> None:
        self._client = client
        self._handing_over = asyncio.Lock()

    async def execute(self, command: str, arguments: Mapping[str, Value] | None = None) -> Value:
        """Run `command`; raises `MachineFailed` with QEMU's words if it refuses or is gone."""
        try:
            return await self._client.execute(command, dict(arguments or {}))
        except ExecuteError as error:
            raise MachineFailed(f"QEMU refused {command}: {error}") from error
        except QMPError as error:
            raise MachineFailed(f"QEMU went away during {command}") from error

    async def add_descriptor(self, descriptor: int, *, set_id: int) -> None:
        """Give QEMU a copy of a descriptor, which it then finds as /dev/fdset/ID."""
        await self.hand_over(descriptor, "add-fd", {"fdset-id": set_id})

    async def hand_over(
        self, descriptor: int, command: str, arguments: Mapping[str, Value]
    ) -> None:
        """Run `command` with a descriptor, of which QEMU keeps a copy.

        One at a time: a descriptor goes to the next command that wants one.
        """
        async with self._handing_over:
            try:
                self._client.send_fd_scm(descriptor)
            except (QMPError, OSError) as error:
                raise MachineFailed(f"QEMU went away: {error}") from error
            await self.execute(command, arguments)

    async def close(self) -> None:
        """Disconnect; QEMU's own end of the connection, if it came first, is no error.

        Bounded, because a QEMU that hangs does not take its part in it.
        """
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self._client.disconnect()
        except (QMPError, EOFError, OSError, TimeoutError):
            return

    @asynccontextmanager
    async def expecting(self, name: str, *, timeout_s: float) -> AsyncIterator[EventListener]:
        """Listen for events called `name` while the block runs its commands."""
        with self._client.listener(name) as listener:
            try:
                async with asyncio.timeout(timeout_s):
                    yield listener
            except TimeoutError as error:
                raise TimedOut(f"QEMU sent no {name} within {timeout_s:g} s") from error


async def attach(connection: socket.socket, *, timeout_s: float) -> Monitor:
    """Greet QEMU on `connection` and negotiate; raises `MachineFailed` or `TimedOut`."""
    client = QMPClient("enclos")
    client.events.event_filter = _none  # it would keep all there are, and a guest can cause them
    try:
        async with asyncio.timeout(timeout_s):
            await client.connect(connection)
    except TimeoutError as error:
        raise TimedOut(f"QEMU did not greet within {timeout_s:g} s") from error
    except (QMPError, OSError, EOFError) as error:
        raise MachineFailed(f"QEMU did not start: {error}") from error
    return Monitor(client)


def _none(_event: Message) -> bool:
    return False


async def load(monitor: Monitor, *, timeout_s: float) -> None:
    """Load the device state of descriptor set 1 and let the guest run."""
    await _ignore_shared(monitor)
    # A clone has not moved here from elsewhere: its interfaces have nothing to announce.
    await monitor.execute("migrate-set-parameters", {"announce-rounds": 0})
    async with monitor.expecting("MIGRATION", timeout_s=timeout_s) as events:
        await monitor.execute("migrate-incoming", {"uri": "file:/dev/fdset/1"})
        await _wait_migration(events)
    async with monitor.expecting("RESUME", timeout_s=timeout_s) as events:
        await monitor.execute("cont")
        await events.get()


async def save(monitor: Monitor, *, timeout_s: float) -> None:
    """Stop the guest and write its device state to descriptor set 2."""
    await monitor.execute("stop")
    await _ignore_shared(monitor)
    async with monitor.expecting("MIGRATION", timeout_s=timeout_s) as events:
        await monitor.execute("migrate", {"uri": "file:/dev/fdset/2"})
        await _wait_migration(events)


async def _ignore_shared(monitor: Monitor) -> None:
    capabilities = [
        {"capability": "x-ignore-shared", "state": True},
        {"capability": "events", "state": True},
    ]
    await monitor.execute("migrate-set-capabilities", {"capabilities": capabilities})


async def _wait_migration(events: EventListener) -> None:
    while True:
        event = await events.get()
        data = cast("Mapping[str, Value]", event["data"])
        status = data.get("status")
        if status == "completed":
            return
        if status in {"failed", "cancelled"}:
            raise MachineFailed(f"QEMU's migration {status}", detail=str(data))
