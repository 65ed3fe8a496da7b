"""Events on their way to a containerd that is slow, away or out of its mind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
from google.protobuf.message import Message

from enclos.sandbox import starvation
from enclos.sandbox.live import Container, Process, Sandbox
from enclos.shim import events, ttrpc, watching
from enclos.shim.events import Publisher
from enclos.shim.proto import events_pb2, ttrpc_pb2
from enclos.shim.tasks import Shim
from enclos.state.records import ContainerRecord
from enclos.wire import messages as m

NAME = "c"
T = TypeVar("T")


class Containerd:
    """Answers at a socket, one event after the other, as soon as it is let."""

    def __init__(self) -> None:
        self.topics: list[str] = []
        self.names: list[str] = []
        self.open = asyncio.Event()
        self.arrived = asyncio.Event()
        self.answers: list[bytes] = []
        """What it says before it answers properly."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while header := await reader.read(ttrpc.HEADER_BYTES):
            payload = await reader.readexactly(int.from_bytes(header[:4], "big"))
            self.arrived.set()
            await self.open.wait()
            answer = b""
            if self.answers:
                answer = self.answers.pop()
            else:
                self._note(payload)
            stream = int.from_bytes(header[4:8], "big")
            writer.write(ttrpc.encode(ttrpc.Frame(stream, ttrpc.RESPONSE, 0, answer)))
        writer.close()

    def _note(self, payload: bytes) -> None:
        request = ttrpc_pb2.Request.FromString(payload)
        envelope = events_pb2.ForwardRequest.FromString(request.payload).envelope
        self.topics.append(envelope.topic)
        self.names.append(events_pb2.TaskOOM.FromString(envelope.event.value).container_id)


def publishing(place: Path, play: Callable[[Publisher, Containerd], Awaitable[T]]) -> T:
    """Let `play` use a publisher beside its containerd."""

    async def run() -> T:
        containerd = Containerd()
        address = str(place / "s")
        async with await asyncio.start_unix_server(containerd.serve, address):
            publisher = Publisher(address, "ns")
            running = asyncio.create_task(publisher.run())
            try:
                return await play(publisher, containerd)
            finally:
                running.cancel()
                publisher._hang_up()
                await asyncio.sleep(0.01)

    return asyncio.run(run())


def test_of_too_many_events_only_news_of_memory_are_lost(tmp_path: Path) -> None:
    async def play(publisher: Publisher, containerd: Containerd) -> None:
        publisher.publish(events_pb2.TaskStart(container_id="first"))
        await containerd.arrived.wait()  # under way, and slow
        publisher.publish(events_pb2.TaskStart(container_id="second"))
        publisher.publish(events_pb2.TaskExit(container_id="third"))
        for number in range(events.MAX_QUEUED + 10):
            publisher.publish(events_pb2.TaskOOM(container_id=f"memory{number}"))
        publisher.publish(events_pb2.TaskExit(container_id="fourth"))
        containerd.open.set()
        await publisher.flush(timeout_s=120)
        assert len(containerd.names) == events.MAX_QUEUED + 1
        assert containerd.names[:3] == ["first", "second", "third"]
        assert containerd.names[3:5] == ["memory13", "memory14"]
        assert containerd.names[-1] == "fourth"

    publishing(tmp_path, play)


def test_ends_are_kept_however_many_they_are(tmp_path: Path) -> None:
    publisher = Publisher("nowhere", "ns")
    for number in range(events.MAX_QUEUED + 5):
        publisher.publish(events_pb2.TaskStart(container_id=str(number)))
    for number in range(events.MAX_QUEUED + 5):
        publisher.publish(events_pb2.TaskExit(container_id=str(number)))
    assert len(publisher._queue) == events.MAX_QUEUED + 5


def test_an_answer_that_is_none_does_not_end_the_events(tmp_path: Path) -> None:
    async def play(publisher: Publisher, containerd: Containerd) -> list[str]:
        containerd.open.set()
        containerd.answers = [b"\xff"]
        publisher.publish(events_pb2.TaskOOM(container_id="a"))
        publisher.publish(events_pb2.TaskOOM(container_id="b"))
        await publisher.flush(timeout_s=20)
        return containerd.names

    assert publishing(tmp_path, play) == ["a", "b"]


class Noting:
    """What is published."""

    def __init__(self) -> None:
        self.published: list[Message] = []

    def publish(self, event: Message) -> None:
        self.published.append(event)


class Fake:
    """A shim and a sandbox as far as they are needed here: one container."""

    def __init__(self) -> None:
        self.sandbox = self
        self.publisher = Noting()
        record = ContainerRecord(NAME, NAME, "/b", "/r", "")
        self.containers = {NAME: Container(record, Process(NAME, "", terminal=False))}

    def container(self, name: str) -> Container:
        return self.containers[name]


def test_a_guest_that_runs_out_of_memory_all_the_time_is_told_of_once_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watching, "_OUT_OF_MEMORY_S", 3600)  # the machine may be busy

    async def play() -> list[Message]:
        fake = Fake()
        shim = cast("Any", fake)
        following = asyncio.create_task(watching._follow_memory(cast("Shim", shim), NAME))
        for _ in range(1000):
            starvation.note(cast("Sandbox", shim), m.OutOfMemory(NAME))
            await asyncio.sleep(0)
        following.cancel()
        return fake.publisher.published

    assert asyncio.run(play()) == [events_pb2.TaskOOM(container_id=NAME)]
