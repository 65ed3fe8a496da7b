"""A listener without descriptors to give: no caller is lost, and nothing spins meanwhile."""

from __future__ import annotations

import asyncio
import os
import resource
import socket

from enclos.sandbox import accepting


class Door(socket.socket):
    """A listener that counts how often it was asked for a caller."""

    asked = 0

    def accept(self) -> tuple[socket.socket, object]:
        self.asked += 1
        return super().accept()


def test_callers_wait_for_descriptors() -> None:
    with Door(socket.AF_INET, socket.SOCK_STREAM) as door:
        door.bind(("127.0.0.1", 0))
        door.listen()
        door.setblocking(False)
        asked, answer = asyncio.run(_call(door))
    assert asked <= 2
    assert answer == b"hello"


async def _call(door: Door) -> tuple[int, bytes]:
    loop = asyncio.get_running_loop()

    def welcome(caller: socket.socket) -> None:
        with caller:
            caller.send(b"hello")

    accepting.accept(door, welcome)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as caller:
        caller.setblocking(False)
        lowest = os.dup(0)
        os.close(lowest)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
        try:
            await loop.sock_connect(caller, door.getsockname())
            await asyncio.sleep(accepting.REST_S * 0.8)
            asked = door.asked
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        answer = await asyncio.wait_for(loop.sock_recv(caller, 100), 10)
    loop.remove_reader(door.fileno())
    return asked, answer
