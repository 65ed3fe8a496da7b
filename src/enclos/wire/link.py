"""One connection as asyncio sees it: frames in and out, requests both ways, streams with credit.

Used by the supervisor towards the agent (a virtio-serial port) and towards its clients (unix
sockets, which may carry descriptors). The guest has its own, smaller end of the same protocol.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import field
from typing import Any, Final, Protocol, TypeVar

from enclos import log
from enclos.errors import EnclosError, Lost, MachineFailed, TimedOut
from enclos.structs import dataclass
from enclos.wire import codec, envelopes, frames
from enclos.wire.frames import Frame, FrameError
from enclos.wire.messages import Nothing

_READ_BYTES: Final = 256 * 1024
_MAX_DESCRIPTORS: Final = 253
"""SCM_MAX_FD of the kernel."""
_MAX_NUMBER: Final = (1 << 32) - 1
_BUSY_BYTES: Final = 2 * 1024 * 1024
_MAX_QUEUED_BYTES: Final = 64 * 1024 * 1024
_PIECE_BYTES: Final = 256
"""What a queued piece costs beside its bytes, so that many small ones count as well."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it arrived; `descriptors` now belong to whoever handles it."""

    number: int
    method: str
    body: bytes
    descriptors: tuple[int, ...] = ()


class Receiver(Protocol):
    """What takes a stream's bytes. It has `Link.grant` called as it gets rid of them."""

    def feed(self, data: bytes) -> None:
        """Take bytes, now or later; never blocks."""

    def finish(self) -> None:
        """The stream has ended."""


class Transmitter(Protocol):
    """What a stream's bytes come from."""

    def credit(self, extra: int) -> None:
        """The other side can take `extra` bytes more."""

    def reset(self) -> None:
        """The other side wants no more."""


def _ignore(*_: object) -> None:
    return None


@dataclass(slots=True)
class Handlers:
    """What the owner of a link does about what arrives."""

    request: Callable[[Request], Coroutine[Any, Any, object]] | None = None
    event: Callable[[str, bytes], None] = _ignore
    closed: Callable[[EnclosError], None] = _ignore


@dataclass(slots=True)
class _State:
    waiting: dict[int, asyncio.Future[bytes]] = field(
        default_factory=dict[int, "asyncio.Future[bytes]"]
    )
    queue: deque[memoryview] = field(default_factory=deque[memoryview])
    queued: int = 0
    relieved: list[Callable[[], None]] = field(default_factory=list[Callable[[], None]])
    received: list[int] = field(default_factory=list[int])
    tasks: set[asyncio.Task[None]] = field(default_factory=set["asyncio.Task[None]"])
    closed: EnclosError | None = None
    writing: bool = False


class Link:
    """A live connection; create it inside a running event loop."""

    def __init__(self, connection: socket.socket, handlers: Handlers, *, name: str) -> None:
        self.name: Final = name
        self.receivers: Final[dict[int, Receiver]] = {}
        self.transmitters: Final[dict[int, Transmitter]] = {}
        self._socket = connection
        self._handlers = handlers
        self._decoder = frames.Decoder()
        self._assembler = envelopes.Assembler(name)
        self._state = _State()
        self._loop = asyncio.get_running_loop()
        self._next = 1
        connection.setblocking(False)
        self._loop.add_reader(connection.fileno(), self._readable)

    def number(self) -> int:
        """A number for a new request or stream of this link.

        They begin anew after 2³² and pass over those that are in use.
        """
        used = (self._state.waiting, self.receivers, self.transmitters)
        while True:
            self._next = self._next + 1 & _MAX_NUMBER
            if self._next and not any(self._next in each for each in used):
                return self._next

    async def call(self, method: str, message: object, reply: type[T], *, timeout_s: float) -> T:
        """Send a request and decode its reply; raises what the other side raised.

        Raises `TimedOut` after `timeout_s`, `Lost` if the connection ends first, as it does by a
        reply that does not decode.
        """
        if self._state.closed is not None:
            raise Lost(f"{self.name}: connection is closed: {self._state.closed}")
        number = self.number()
        future: asyncio.Future[bytes] = self._loop.create_future()
        self._state.waiting[number] = future
        body = envelopes.named(method, message)
        self.send(frames.encode_message(frames.REQUEST, number, body))
        try:
            async with asyncio.timeout(timeout_s):
                answer = await future
            return codec.decode(reply, answer)
        except TimeoutError as error:
            raise TimedOut(f"{self.name} did not answer {method} in {timeout_s:g} s") from error
        except codec.CodecError as error:
            lost = Lost(f"{self.name} answered {method} with what does not decode: {error}")
            self._fail(lost)
            raise lost from error
        finally:
            self._state.waiting.pop(number, None)

    def event(self, name: str, message: object) -> None:
        """Say something unasked."""
        self.send(frames.encode_message(frames.EVENT, 0, envelopes.named(name, message)))

    def grant(self, number: int, extra: int) -> None:
        """Let the sender of stream `number` send `extra` bytes more."""
        self.send(frames.encode(frames.CREDIT, number, extra.to_bytes(4, "little")))

    @property
    def busy(self) -> bool:
        """Whether so much waits to be written that a stream must not add to it."""
        return self._state.queued > _BUSY_BYTES

    def when_relieved(self, call: Callable[[], None]) -> None:
        """Call `call` once, as soon as nothing waits to be written any more."""
        self._state.relieved.append(call)

    def send(self, data: bytes) -> None:
        """Write frames as soon as the socket takes them; silently dropped once closed.

        Ends the connection if the other side reads so little that too much waits for it.
        """
        if self._state.closed is not None:
            return
        if not self._state.queue:
            try:
                sent = self._socket.send(data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError as error:
                self._fail(Lost(f"{self.name}: {error}"))
                return
            if sent == len(data):
                return
            self._enqueue(memoryview(data)[sent:])
        else:
            self._enqueue(memoryview(data))

    def _enqueue(self, piece: memoryview) -> None:
        self._state.queue.append(piece)
        self._state.queued += len(piece) + _PIECE_BYTES
        if self._state.queued > _MAX_QUEUED_BYTES:
            self._fail(Lost(f"{self.name} does not read what it is sent"))
        elif not self._state.writing:
            self._state.writing = True
            self._loop.add_writer(self._socket.fileno(), self._writable)

    async def drain(self, *, timeout_s: float) -> None:
        """Wait until every request has been answered and written, or the time is over."""
        deadline = self._loop.time() + timeout_s
        while self._loop.time() < deadline and self._state.closed is None:
            if not self._state.tasks and not self._state.queue:
                return
            await asyncio.sleep(0.001)

    def close(self) -> None:
        """End the connection; pending calls raise `Lost`."""
        self._fail(Lost(f"{self.name}: closed by this side"))

    def _readable(self) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._socket, _READ_BYTES, _MAX_DESCRIPTORS)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._fail(Lost(f"{self.name}: {error}"))
            return
        self._state.received += descriptors
        if not data:
            self._fail(Lost(f"{self.name} closed the connection"))
            return
        try:
            for frame in self._decoder.feed(data):
                self._take(frame)
        except EnclosError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - the edge: frames behind this one must not just be missing
            log.error("a connection broke", connection=self.name, error=repr(error))
            self._fail(MachineFailed(f"{self.name}: internal error: {error!r}"))

    def _take(self, frame: Frame) -> None:
        if frame.kind == frames.DATA:
            receiver = self.receivers.get(frame.number)
            if receiver is not None:
                receiver.feed(frame.payload)
        elif frame.kind == frames.CREDIT:
            transmitter = self.transmitters.get(frame.number)
            if transmitter is not None and len(frame.payload) == 4:
                transmitter.credit(int.from_bytes(frame.payload, "little"))
        elif frame.kind == frames.END:
            receiver = self.receivers.pop(frame.number, None)
            if receiver is not None:
                receiver.finish()
        elif frame.kind == frames.RESET:
            transmitter = self.transmitters.pop(frame.number, None)
            if transmitter is not None:
                transmitter.reset()
        else:
            self._message(frame)

    def _message(self, frame: Frame) -> None:
        whole = self._assembler.add(frame)
        if whole is None:
            return
        if frame.kind == frames.REQUEST:
            self._request(frame.number, whole)
        elif frame.kind == frames.EVENT:
            self._handlers.event(*envelopes.opened(whole))
        else:
            future = self._state.waiting.get(frame.number)
            if future is None or future.done():
                return
            if frame.kind == frames.REPLY:
                future.set_result(whole)
            else:
                future.set_exception(envelopes.error_of(whole))

    def _request(self, number: int, whole: bytes) -> None:
        handler = self._handlers.request
        if handler is None:
            raise FrameError(f"{self.name}: sent a request where none is served")
        descriptors, self._state.received = tuple(self._state.received), []
        request = Request(number, *envelopes.opened(whole), descriptors)
        task = self._loop.create_task(self._serve(handler, request))
        self._state.tasks.add(task)
        task.add_done_callback(self._state.tasks.discard)

    async def _serve(
        self, handler: Callable[[Request], Coroutine[Any, Any, object]], request: Request
    ) -> None:
        try:
            answer = await handler(request)
            kind, body = frames.REPLY, codec.encode(Nothing() if answer is None else answer)
        except EnclosError as error:
            kind, body = frames.ERROR, envelopes.failure(error)
        except OSError as error:
            log.error("request failed", method=request.method, error=error)
            failed = MachineFailed(f"{request.method}: {error}")
            kind, body = frames.ERROR, envelopes.failure(failed)
        except Exception as error:  # noqa: BLE001 - the edge: a fault of ours must not leave a client waiting
            log.error("request broke", method=request.method, error=repr(error))
            failed = MachineFailed(f"{request.method}: internal error: {error!r}")
            kind, body = frames.ERROR, envelopes.failure(failed)
        self.send(frames.encode_message(kind, request.number, body))

    def _writable(self) -> None:
        queue = self._state.queue
        try:
            while queue:
                sent = self._socket.send(queue[0])
                self._state.queued -= sent
                if sent < len(queue[0]):
                    queue[0] = queue[0][sent:]
                    return
                queue.popleft()
                self._state.queued -= _PIECE_BYTES
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._fail(Lost(f"{self.name}: {error}"))
            return
        self._state.writing = False
        self._loop.remove_writer(self._socket.fileno())
        relieved, self._state.relieved = self._state.relieved, []
        for call in relieved:
            call()

    def _fail(self, error: EnclosError) -> None:
        if self._state.closed is not None:
            return
        self._state.closed = error
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_writer(self._socket.fileno())
        self._socket.close()
        self._state.queue.clear()
        self._state.queued = 0
        self._state.relieved.clear()
        for descriptor in self._state.received:
            os.close(descriptor)
        self._state.received.clear()
        for future in self._state.waiting.values():
            if not future.done():
                future.set_exception(Lost(str(error)))
        for transmitter in list(self.transmitters.values()):
            transmitter.reset()
        self.transmitters.clear()
        for receiver in list(self.receivers.values()):
            receiver.finish()
        self.receivers.clear()
        self._handlers.closed(error)
