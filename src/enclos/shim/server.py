"""A ttrpc server: connections, calls at the same time, time limits and bounds.

A client is containerd, or root at least. All the same nothing a client does may cost the others:
one that never reads, sends half a frame, or opens connections without end is cut off.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Mapping
from typing import Final, cast

from enclos import log
from enclos.errors import EnclosError, InvalidRequest
from enclos.shim import calls, ttrpc
from enclos.shim.calls import Call, Method
from enclos.shim.ttrpc import Frame

MAX_CONNECTIONS: Final = 512
"""A pod has one per container and one more per `ctr` that looks."""
MAX_CALLS: Final = 4096
"""Of one connection at a time: mostly `Wait`, one per process."""
MAX_PENDING_BYTES: Final = 32 << 20
"""What unfinished frames of all connections may hold together."""
MAX_UNREAD_BYTES: Final = 8 << 20
"""What one client may leave unread of its answers."""

Services = Mapping[str, Mapping[str, Method]]


class Server:
    """The connections of one listening socket and the calls on them."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.connections: Final[set[Connection]] = set()
        self.calls: Final[set[asyncio.Task[None]]] = set()

    async def listen(self, listener: socket.socket) -> asyncio.Server:
        """Take connections from now on."""
        loop = asyncio.get_running_loop()
        return await loop.create_unix_server(lambda: Connection(self), sock=listener)

    @property
    def pending_bytes(self) -> int:
        """What all unfinished frames hold."""
        return sum(connection.pending for connection in self.connections)

    async def drain(self, *, timeout_s: float) -> None:
        """Wait until what does not only wait has been answered and is written, within the limit."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while asyncio.get_running_loop().time() < deadline:
            if not self.calls and not any(one.unwritten for one in self.connections):
                return
            await asyncio.sleep(0.002)

    def close(self) -> None:
        """End every connection."""
        for connection in list(self.connections):
            connection.abort()


class Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._decoder = ttrpc.Decoder()
        self._transport: asyncio.Transport | None = None
        self._last = 0
        self._active: dict[int, asyncio.Task[None]] = {}
        self._waiting: set[asyncio.Task[None]] = set()
        self._paused = False
        self._later = bytearray()

    @property
    def pending(self) -> int:
        """Bytes of an unfinished frame."""
        return self._decoder.pending

    @property
    def unwritten(self) -> int:
        """Bytes that the client has not read."""
        return self._transport.get_write_buffer_size() + len(self._later) if self._transport else 0

    def abort(self) -> None:
        """Cut the client off."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`; only root is served."""
        self._transport = cast(asyncio.Transport, transport)
        peer: socket.socket = transport.get_extra_info("socket")
        if _uid(peer) != 0 or len(self._server.connections) >= MAX_CONNECTIONS:
            self._transport.abort()
            return
        self._server.connections.add(self)

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`: the client does not read.

        Answers are put together meanwhile: Python 3.12 and later count all pieces at each write.
        """
        self._paused = True

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._paused = False
        if self._transport is not None and self._later:
            answers, self._later = bytes(self._later), bytearray()
            self._transport.write(answers)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        """See `asyncio.Protocol`; who only waited for the client waits no more."""
        self._server.connections.discard(self)
        for task in self._waiting:
            task.cancel()

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        for frame in self._decoder.feed(data):
            self._take(frame)
        if self._decoder.pending and self._server.pending_bytes > MAX_PENDING_BYTES:
            log.warning("client cut off: too many unfinished frames")
            self.abort()

    def _take(self, frame: Frame) -> None:
        if frame.kind == ttrpc.RESPONSE:
            return  # to nothing that we asked
        if frame.kind == ttrpc.DATA:
            self._refuse(frame, calls.INVALID_ARGUMENT, "stream is not active")
        elif frame.kind != ttrpc.REQUEST:
            self._refuse(frame, calls.INVALID_ARGUMENT, f"unknown frame type {frame.kind}")
        elif frame.oversize:
            self._refuse(frame, calls.RESOURCE_EXHAUSTED, f"over {ttrpc.MAX_PAYLOAD} bytes")
        elif frame.stream % 2 == 0 or frame.stream <= self._last:
            self._refuse(frame, calls.INVALID_ARGUMENT, "stream ids are odd and grow")
        elif frame.flags & ttrpc.REMOTE_OPEN:
            self._last = frame.stream
            self._refuse(frame, calls.UNIMPLEMENTED, "streams are not supported: unary calls only")
        elif len(self._active) >= MAX_CALLS:
            self._refuse(frame, calls.RESOURCE_EXHAUSTED, f"over {MAX_CALLS} calls at a time")
        else:
            self._last = frame.stream
            self._begin(frame)

    def _begin(self, frame: Frame) -> None:
        try:
            call = calls.decode_call(frame.payload)
            method = self._find(call)
        except InvalidRequest as error:
            self._answer(frame.stream, calls.failed(error))
            return
        if method is None:
            what = f"{call.service[:80]}/{call.method[:80]} is not implemented"
            self._refuse(frame, calls.UNIMPLEMENTED, what)
            return
        task = asyncio.get_running_loop().create_task(self._run(frame.stream, call, method))
        self._keep(task, frame.stream, waits=method.waits)

    def _find(self, call: Call) -> Method | None:
        return self._server.services.get(call.service, {}).get(call.method)

    def _keep(self, task: asyncio.Task[None], stream: int, *, waits: bool) -> None:
        held = self._waiting if waits else self._server.calls
        self._active[stream] = task
        held.add(task)

        def done(_: asyncio.Task[None]) -> None:
            self._active.pop(stream, None)
            held.discard(task)

        task.add_done_callback(done)

    async def _run(self, stream: int, call: Call, method: Method) -> None:
        """Answer one call; past its time limit it is answered, but goes on unless it waits."""
        work = asyncio.ensure_future(_handle(call, method))
        try:
            done, _ = await asyncio.wait({work}, timeout=call.timeout_s)
            if not done:
                self._answer(stream, calls.failure(calls.DEADLINE_EXCEEDED, "deadline exceeded"))
                if not method.waits:
                    await work
                return
            self._answer(stream, work.result())
        finally:
            if method.waits:
                work.cancel()

    def _refuse(self, frame: Frame, code: int, why: str) -> None:
        self._answer(frame.stream, calls.failure(code, why))

    def _answer(self, stream: int, payload: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if len(payload) > ttrpc.MAX_PAYLOAD:
            payload = calls.failure(calls.RESOURCE_EXHAUSTED, "the answer is too long")
        answer = ttrpc.encode(Frame(stream, ttrpc.RESPONSE, 0, payload))
        if self._paused:
            self._later += answer
        else:
            self._transport.write(answer)
        if self.unwritten > MAX_UNREAD_BYTES:
            log.warning("client cut off: it does not read")
            self.abort()


async def _handle(call: Call, method: Method) -> bytes:
    """The payload of the response to a call, whatever becomes of it."""
    try:
        message = calls.decode_message(method.request, call.payload)
        return calls.success(await method.handler(message))
    except EnclosError as error:
        log.info("call failed", method=call.method, error=error)
        return calls.failed(error)
    except OSError as error:
        log.error("call failed", method=call.method, error=error)
        return calls.failure(calls.INTERNAL, f"{call.method}: {error}")
    except Exception as error:  # noqa: BLE001 - the edge: a fault of ours must not leave a client waiting
        log.error("call broke", method=call.method, error=repr(error))
        return calls.failure(calls.INTERNAL, f"{call.method}: internal error: {error!r}")


def _uid(peer: socket.socket) -> int:
    """Who is at the other end."""
    packed = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", packed)[1])
