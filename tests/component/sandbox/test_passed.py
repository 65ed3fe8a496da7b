"""Requests that are refused leave none of the descriptors open that came with them."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

import pytest

from enclos.errors import MachineFailed
from enclos.linux import mount
from enclos.sandbox import service
from enclos.sandbox.boot import Phases
from enclos.sandbox.live import Container, Process, Sandbox
from enclos.state import records
from enclos.state.records import ContainerRecord
from enclos.state.store import StateRoot
from enclos.wire import codec, frames
from enclos.wire import control as c
from enclos.wire import messages as m
from tests.support.apart import apart

LIVING: Final = "living"
CHANNELS: Final = c.Channels()
PASSED: Final = 5
"""A tree and four others: what each create of one source, or one disk, comes with."""
LIMIT_S: Final = 20
_READ_BYTES: Final = 65536


class Machine:
    """Grows no more."""

    async def plug_disk(self, *_: object, **__: object) -> None:
        raise MachineFailed("no more disks")

    async def plug_memory(self, *_: object) -> None:
        raise MachineFailed("no more memory")


def _record(name: str) -> ContainerRecord:
    return ContainerRecord(name, LIVING, "/b", "/r", records.now(), status="running")


def _create(name: str, *, sources: int = 0, **more: Any) -> c.Create:
    record = records.encode_container(_record(name))
    return c.Create(name, "{}", record, sources, CHANNELS, attached=True, **more)


REFUSED: Final[dict[str, tuple[str, object]]] = {
    "of a name that is taken": ("create", _create(LIVING)),
    "with too few": ("create", _create("new", sources=7)),
    "whose second tree is none": ("create", _create("new", sources=1)),
    "whose disk is refused": (
        "create",
        _create("new", disks=(c.PassedDisk(0, "/x", readonly=True),)),
    ),
    "that needs more memory": ("create", _create("new", sources=1, machine_bytes=2)),
    "of an exec that is there": ("exec", c.Exec(LIVING, "e", "{}", CHANNELS)),
    "of an exec in nothing": ("exec", c.Exec("none", "e", "{}", CHANNELS)),
    "to attach to nothing": ("attach", c.Attach("none", stdin=False)),
    "to attach with too many": ("attach", c.Attach(LIVING, stdin=False)),
    "that does not decode": ("attach", m.Nothing()),
}


def _sandbox(place: Path) -> Sandbox:
    board = SimpleNamespace(base_memory_bytes=1, vcpus=1, spare_vcpus=0)
    plan = SimpleNamespace(id=LIVING, share=place / "share", memory_bytes=1, vcpus=1, board=board)
    plan.share.mkdir()
    sandbox = Sandbox(cast("Any", plan), StateRoot(place / "state"), Phases())
    sandbox.machine = cast("Any", Machine())
    sandbox.ready.set()
    container = Container(_record(LIVING), Process(LIVING, "", terminal=False))
    container.execs["e"] = Process(LIVING, "e", terminal=False)
    sandbox.containers[LIVING] = container
    return sandbox


async def _left(place: Path, method: str, message: object) -> set[str]:
    """Descriptors that are open some time after the request, and were not before."""
    sandbox = _sandbox(place)
    ours, theirs = socket.socketpair()
    service.Client(sandbox, theirs)
    before = set(os.listdir("/proc/self/fd"))
    tree = mount.open_tree_clone(place, recursive=False)
    others = [os.open("/dev/null", os.O_RDWR) for _ in range(PASSED - 1)]
    body = method.encode() + b"\n" + codec.encode(message)
    socket.send_fds(ours, [frames.encode_message(frames.REQUEST, 1, body)], [tree, *others])
    for descriptor in (tree, *others):
        os.close(descriptor)
    await _wait_taken(ours)
    limit = asyncio.get_running_loop().time() + LIMIT_S
    while left := set(os.listdir("/proc/self/fd")) - before:
        if asyncio.get_running_loop().time() > limit:
            break
        await asyncio.sleep(0.01)
    assert list(sandbox.containers) == [LIVING]
    assert list(sandbox.plan.share.iterdir()) == []
    ours.close()
    return left


async def _wait_taken(ours: socket.socket) -> None:
    """Requests are taken in their order, so ours has been when a later one is answered."""
    ours.sendall(frames.encode_message(frames.REQUEST, 2, b"no such request\n"))
    decoder = frames.Decoder()
    ours.setblocking(False)
    numbers: set[int] = set()
    async with asyncio.timeout(LIMIT_S):
        while 2 not in numbers:
            data = await asyncio.get_running_loop().sock_recv(ours, _READ_BYTES)
            numbers |= {frame.number for frame in decoder.feed(data)}


@pytest.mark.parametrize("which", REFUSED)
def test_a_refused_request(tmp_path: Path, which: str) -> None:
    def refused() -> None:
        assert asyncio.run(_left(tmp_path, *REFUSED[which])) == set()

    apart(refused)
