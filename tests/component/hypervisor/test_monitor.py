"""QMP's other end played by a socket: what becomes of events, expected or not."""

from __future__ import annotations

import asyncio
import json
import socket

from enclos.hypervisor.qemu import monitor

GREETING = {"QMP": {"version": {"qemu": {"major": 10}}, "capabilities": []}}
STAMP = {"seconds": 0, "microseconds": 0}
WAIT_S = 20


def _event(name: str, **data: object) -> dict[str, object]:
    return {"event": name, "data": data, "timestamp": STAMP}


class Qemu:
    """Greets, and answers each command once its events are out."""

    def __init__(self) -> None:
        self.ours, self._socket = socket.socketpair()
        self._socket.setblocking(False)
        self.events: list[dict[str, object]] = []

    async def serve(self) -> None:
        reader, writer = await asyncio.open_connection(sock=self._socket)
        writer.write(json.dumps(GREETING).encode() + b"\n")
        while line := await reader.read(65_536):  # one at a time, each waits for its answer
            asked = json.loads(line)
            told = self.events if asked["execute"] == "cont" else []
            answer = {"return": {}} | {key: asked[key] for key in ("id",) if key in asked}
            for message in (*told, answer):
                writer.write(json.dumps(message).encode() + b"\n")
        writer.close()


def test_events_that_nobody_expects_are_not_kept() -> None:
    async def play() -> object:
        qemu = Qemu()
        qemu.events = [_event("RTC_CHANGE", offset=n) for n in range(1000)]
        qemu.events.append(_event("RESUME"))
        serving = asyncio.create_task(qemu.serve())
        found = await monitor.attach(qemu.ours, timeout_s=WAIT_S)
        async with found.expecting("RESUME", timeout_s=WAIT_S) as events:
            await found.execute("cont")
            expected = await events.get()
        kept = found._client.events
        assert kept.empty()
        assert not kept.history
        await found.close()
        await serving
        return expected["event"]

    assert asyncio.run(play()) == "RESUME"
