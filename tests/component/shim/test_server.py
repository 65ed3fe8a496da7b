"""The ttrpc server against a client of its own kind, and against clients that misbehave."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from enclos.errors import NotFound
from enclos.shim import server as ttrpc_server
from enclos.shim import ttrpc
from enclos.shim.calls import Method
from enclos.shim.proto import task_pb2
from tests.support import waiting
from tests.support.ttrpc import Client, Failed, header

SERVICE = "test.Service"
Start, Reply = task_pb2.StartRequest, task_pb2.StartResponse


class Served:
    """A server in a thread, with handlers that echo, fail, break, wait and sleep."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cancelled = threading.Event()
        self.finished = threading.Event()
        self.release = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)
        self._thread.start()
        assert self._ready.wait(30)

    async def _main(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        rows = {
            "Echo": Method(Start, self._echo),
            "Fail": Method(Start, self._fail),
            "Break": Method(Start, self._break),
            "Wait": Method(Start, self._wait, waits=True),
            "Slow": Method(Start, self._slow),
        }
        self.server = ttrpc_server.Server({SERVICE: rows})
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.path))
        listener.listen(64)
        serving = await self.server.listen(listener)
        self._ready.set()
        await self._end.wait()
        serving.close()
        self.server.close()

    async def _echo(self, request: task_pb2.StartRequest) -> task_pb2.StartResponse:
        return Reply(pid=len(request.id))

    async def _fail(self, request: task_pb2.StartRequest) -> task_pb2.StartResponse:
        raise NotFound(f"no {request.id}")

    async def _break(self, request: task_pb2.StartRequest) -> task_pb2.StartResponse:
        raise ZeroDivisionError(request.id)

    async def _wait(self, _: task_pb2.StartRequest) -> task_pb2.StartResponse:
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return Reply(pid=1)

    async def _slow(self, _: task_pb2.StartRequest) -> task_pb2.StartResponse:
        await asyncio.sleep(0.3)
        self.finished.set()
        return Reply(pid=2)

    def let_go(self) -> None:
        self.loop.call_soon_threadsafe(self.release.set)

    def end(self) -> None:
        self.loop.call_soon_threadsafe(self._end.set)
        self._thread.join(30)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    server = Served(tmp_path / "s")
    yield server
    server.end()


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    found = Client.dial(served.path)
    yield found
    found.close()


def test_calls_are_answered(client: Client) -> None:
    for name in ("", "a", "abc"):
        assert client.call(SERVICE, "Echo", Start(id=name), Reply).pid == len(name)


def test_a_call_that_waits_holds_up_no_other(served: Served, client: Client) -> None:
    waiting = client.post(SERVICE, "Wait", Start())
    assert client.call(SERVICE, "Echo", Start(id="ab"), Reply).pid == 2
    served.let_go()
    assert client.answer(waiting).code == 0


def test_errors_have_their_codes(client: Client) -> None:
    with pytest.raises(Failed, match="code 5: no x"):
        client.call(SERVICE, "Fail", Start(id="x"), Reply)
    with pytest.raises(Failed, match="code 13: Break: internal error"):
        client.call(SERVICE, "Break", Start(id="x"), Reply)
    assert client.call(SERVICE, "Echo", Start(id="a"), Reply).pid == 1


@pytest.mark.parametrize(("service", "method"), [("no", "Echo"), (SERVICE, "No"), ("", "")])
def test_what_is_unknown_is_unimplemented(client: Client, service: str, method: str) -> None:
    with pytest.raises(Failed, match="code 12"):
        client.call(service, method, Start(), Reply)


def test_a_stream_is_refused_and_its_data_too(client: Client) -> None:
    stream = client.post(SERVICE, "Echo", Start(), flags=ttrpc.REMOTE_OPEN)
    assert client.answer(stream).code == 12
    client.socket.sendall(header(1, stream, ttrpc.DATA) + b"x")
    assert client.answer(stream).code == 3
    assert client.call(SERVICE, "Echo", Start(id="a"), Reply).pid == 1


def test_an_oversize_request_is_answered(client: Client) -> None:
    length = ttrpc.MAX_PAYLOAD + 5
    client.socket.sendall(header(length, 1) + bytes(length))
    assert client.answer(1).code == 8


@pytest.mark.parametrize("stream", [0, 2])
def test_an_impossible_stream_id_is_refused(client: Client, stream: int) -> None:
    client.socket.sendall(header(0, stream))
    assert client.answer(stream).code == 3


def test_a_payload_that_is_no_request_is_refused(client: Client) -> None:
    client.socket.sendall(header(3, 1) + b"\xff\xff\xff")
    assert client.answer(1).code == 3


def test_a_deadline_is_kept_and_the_work_goes_on(served: Served, client: Client) -> None:
    with pytest.raises(Failed, match="code 4"):
        client.call(SERVICE, "Slow", Start(), Reply, timeout_s=0.05)
    assert served.finished.wait(30)


def test_waiting_ends_with_its_deadline_and_its_client(served: Served) -> None:
    client = Client.dial(served.path)
    with pytest.raises(Failed, match="code 4"):
        client.call(SERVICE, "Wait", Start(), Reply, timeout_s=0.05)
    assert served.cancelled.wait(30)
    served.cancelled.clear()
    client.post(SERVICE, "Wait", Start())
    client.call(SERVICE, "Echo", Start(), Reply)
    client.close()
    assert served.cancelled.wait(30)


def test_two_hundred_half_frames_cost_nobody(served: Served, client: Client) -> None:
    crowd = [Client.dial(served.path) for _ in range(200)]
    for one in crowd:
        one.socket.sendall(header(1000, 1) + b"half")
    assert client.call(SERVICE, "Echo", Start(id="abc"), Reply).pid == 3
    assert served.server.pending_bytes <= 200 * 14
    for one in crowd:
        one.close()


def test_unfinished_frames_are_bounded_together(served: Served, client: Client) -> None:
    crowd = [Client.dial(served.path) for _ in range(12)]
    piece = header(ttrpc.MAX_PAYLOAD, 1) + bytes(ttrpc.MAX_PAYLOAD - 1)
    cut_off = 0
    for one in crowd:
        try:
            one.socket.sendall(piece)
        except OSError:
            cut_off += 1
    assert client.call(SERVICE, "Echo", Start(id="abc"), Reply).pid == 3
    assert served.server.pending_bytes <= ttrpc_server.MAX_PENDING_BYTES
    for one in crowd:
        one.close()


def test_who_does_not_read_is_cut_off(served: Served, client: Client) -> None:
    greedy = Client.dial(served.path, timeout_s=30)
    sent = 0
    with pytest.raises(OSError):  # noqa: PT011, PT012 - a reset or a broken pipe, when it comes
        while sent < 2_000_000:
            greedy.post("x" * 60, "y" * 60, Start())
            sent += 1
    greedy.close()
    assert client.call(SERVICE, "Echo", Start(id="abc"), Reply).pid == 3


def _unwritten(served: Served) -> int:
    return sum(one.unwritten for one in list(served.server.connections))


def test_late_readers_get_every_answer_in_order(served: Served, client: Client) -> None:
    """They are one piece while they wait: to count many at each write takes all of the time."""
    late, number = Client.dial(served.path), 4_000
    for _ in range(number):
        late.post("x" * 60, "y" * 60, Start())
    waiting.until(lambda: _unwritten(served) > 256 << 10)
    assert client.call(SERVICE, "Echo", Start(id="abc"), Reply).pid == 3
    transports = [one._transport for one in served.server.connections]
    assert all(one is None or one.get_write_buffer_size() < 128 << 10 for one in transports)
    assert [late.receive().stream for _ in range(number)] == list(range(1, 2 * number, 2))
    late.close()


def test_connections_are_bounded(served: Served, client: Client) -> None:
    assert client.call(SERVICE, "Echo", Start(), Reply).pid == 0
    crowd = [Client.dial(served.path) for _ in range(ttrpc_server.MAX_CONNECTIONS + 20)]
    deadline = time.monotonic() + 30
    while len(served.server.connections) < ttrpc_server.MAX_CONNECTIONS:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert client.call(SERVICE, "Echo", Start(id="a"), Reply).pid == 1
    for one in crowd:
        one.close()
