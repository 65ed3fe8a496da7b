"""Tells containerd what happened to tasks: in order, again while it is away, never waited for."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Final

from google.protobuf.any_pb2 import Any
from google.protobuf.message import DecodeError, Message

from enclos import log
from enclos.shim import ttrpc
from enclos.shim.proto import events_pb2, ttrpc_pb2
from enclos.structs import dataclass

SERVICE: Final = "containerd.services.events.ttrpc.v1.Events"
TOPICS: Final[dict[type[Message], str]] = {
    events_pb2.TaskCreate: "/tasks/create",
    events_pb2.TaskStart: "/tasks/start",
    events_pb2.TaskExecAdded: "/tasks/exec-added",
    events_pb2.TaskExecStarted: "/tasks/exec-started",
    events_pb2.TaskExit: "/tasks/exit",
    events_pb2.TaskOOM: "/tasks/oom",
    events_pb2.TaskPaused: "/tasks/paused",
    events_pb2.TaskResumed: "/tasks/resumed",
    events_pb2.TaskDelete: "/tasks/delete",
}
MAX_QUEUED: Final = 4096
"""A containerd that is away for so long asks for the state of things anyway. Ends of processes are
kept beyond it: there are no more of them than containerd has started."""
_ANSWER_S: Final = 5
_FIRST_DELAY_S: Final = 0.1
_LONGEST_DELAY_S: Final = 5.0


_END: Final = events_pb2.TaskExit
"""Whoever misses it takes the process for a running one for ever."""


@dataclass(frozen=True, slots=True, eq=False)
class _Queued:
    """An event as it will be sent."""

    kind: type[Message]
    request: bytes


class Publisher:
    """The events of one shim. Without an address nobody wants them."""

    def __init__(self, address: str, namespace: str) -> None:
        self._address = address.removeprefix("unix://")
        self._namespace = namespace
        self._queue: deque[_Queued] = deque()
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._stream = -1

    def publish(self, event: Message) -> None:
        """Have it sent after everything that was published before."""
        if not self._address:
            return
        if len(self._queue) >= MAX_QUEUED:
            self._drop_one()
        self._queue.append(_Queued(type(event), envelope(event, self._namespace, time.time_ns())))
        self._idle.clear()
        self._arrived.set()

    async def run(self) -> None:
        """Send what is published, one after the other, for ever."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._queue:
                await self._deliver(self._queue.popleft().request)
            self._idle.set()

    def _drop_one(self) -> None:
        """Make room: news of memory go first, and the end of a process never does."""
        memory = next((one for one in self._queue if one.kind is events_pb2.TaskOOM), None)
        found = memory or next((one for one in self._queue if one.kind is not _END), None)
        if found is not None:
            self._queue.remove(found)
            log.error("containerd is away: an event is lost", topic=TOPICS[found.kind])

    async def flush(self, *, timeout_s: float) -> None:
        """Wait until everything has been sent, within the limit."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            log.warning("events that nobody took", count=len(self._queue))

    async def _deliver(self, request: bytes) -> None:
        """Send one until it is answered, however that is."""
        delay_s = _FIRST_DELAY_S
        while True:
            try:
                async with asyncio.timeout(_ANSWER_S):
                    refused = await self._ask(request)
            except (OSError, TimeoutError, EOFError, DecodeError) as error:
                self._hang_up()
                log.debug("containerd is away", error=repr(error))
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, _LONGEST_DELAY_S)
                continue
            if refused:
                log.warning("event refused", error=refused)
            return

    async def _ask(self, request: bytes) -> str:
        """Send one; what containerd has against it."""
        if self._connection is None:
            self._connection = await asyncio.open_unix_connection(self._address)
            self._stream = -1
        reader, writer = self._connection
        self._stream += 2
        writer.write(ttrpc.encode(ttrpc.Frame(self._stream, ttrpc.REQUEST, 0, request)))
        await writer.drain()
        header = await reader.readexactly(ttrpc.HEADER_BYTES)
        length = int.from_bytes(header[:4], "big")
        if length > ttrpc.MAX_PAYLOAD:
            raise ConnectionError(f"an answer of {length} bytes")
        answer = ttrpc_pb2.Response.FromString(await reader.readexactly(length))
        return answer.status.message if answer.status.code else ""

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection[1].close()
            self._connection = None


def envelope(event: Message, namespace: str, time_ns: int) -> bytes:
    """The request that forwards an event, as the payload of a frame."""
    forward = events_pb2.ForwardRequest()
    forward.envelope.timestamp.FromNanoseconds(time_ns)
    forward.envelope.namespace = namespace
    forward.envelope.topic = TOPICS[type(event)]
    forward.envelope.event.CopyFrom(packed(event))
    return ttrpc_pb2.Request(
        service=SERVICE,
        method="Forward",
        payload=forward.SerializeToString(),
        timeout_nano=_ANSWER_S * 1_000_000_000,
    ).SerializeToString()


def packed(message: Message) -> Any:
    """An Any as containerd writes its type: the name alone."""
    return Any(type_url=message.DESCRIPTOR.full_name, value=message.SerializeToString())
