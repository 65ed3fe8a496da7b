"""What a container says reaches who waits, as much of it as is theirs."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import pytest

from enclos.errors import InvalidRequest
from enclos.plan.notices import Kind, Notices
from enclos.sandbox import notices
from enclos.sandbox.live import Container, Process, Sandbox
from enclos.sandbox.notices import Relay
from enclos.state.records import ContainerRecord
from enclos.wire import control as c
from enclos.wire import messages as m

NAME = "c"


class Fake:
    """A sandbox as far as it is needed here: one container, and who hears of its notices."""

    def __init__(self, kind: Kind) -> None:
        self.taker, sender = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        sender.setblocking(False)
        record = ContainerRecord(NAME, NAME, "/b", "/r", "")
        init = Process(NAME, "", terminal=False, standin_pid=4321)
        self.one = Container(record, init, relay=Relay(sender, kind))
        self.containers = {NAME: self.one}

    def container(self, name: str) -> Container:
        return self.containers[name]

    def say(self, data: bytes, name: str = NAME) -> None:
        notices.note(cast("Sandbox", self), m.Notice(name, data.hex()))

    def heard(self) -> list[bytes]:
        self.taker.setblocking(False)
        found: list[bytes] = []
        while True:
            try:
                found.append(self.taker.recv(9999))
            except BlockingIOError:
                return found

    def close(self) -> None:
        notices.close(self.one)
        self.taker.close()


@pytest.fixture(params=list(Kind))
def fake(request: Any) -> Iterator[Fake]:
    made = Fake(request.param)
    yield made
    made.close()


def test_what_is_passed_on(fake: Fake) -> None:
    said = [b"STATUS=coming", b"STATUS=up\nREADY=1\nX=y", b"READY=1", b"MAINPID=1", b"\xff\x00"]
    for data in said:
        fake.say(data)
    fake.say(b"READY=1", "unknown")
    everything = fake.one.relay is not None and fake.one.relay.kind is Kind.ALL
    assert fake.heard() == (said if everything else [b"READY=1\n", b"MAINPID=4321\n"])


def test_a_guest_that_talks_without_end_waits_for_nobody(fake: Fake) -> None:
    for number in range(10_000):
        fake.say(b"STATUS=%d" % number)
    assert len(fake.heard()) < 10_000


def test_what_is_no_datagram_is_an_error(fake: Fake) -> None:
    with pytest.raises(InvalidRequest, match="not hexadecimal"):
        notices.note(cast("Sandbox", fake), m.Notice(NAME, "no"))


def test_after_the_end_nobody_is_told(fake: Fake) -> None:
    notices.close(fake.one)
    fake.say(b"READY=1")
    assert fake.heard() == []


@pytest.mark.parametrize("end", ["ready", "ended"])
def test_waiting_for_ready(end: str) -> None:
    async def play(fake: Fake) -> None:
        waiting = asyncio.ensure_future(notices.ready(cast("Sandbox", fake), c.Named(NAME)))
        await asyncio.sleep(0)
        fake.say(b"STATUS=nearly")
        await asyncio.sleep(0)
        assert not waiting.done()
        if end == "ready":
            fake.say(b"READY=1")
        else:
            fake.one.init.ended = c.Ended(1)
            fake.one.tell()
        await asyncio.wait_for(waiting, 5)
        await notices.ready(cast("Sandbox", fake), c.Named(NAME))

    made = Fake(Kind.READY)
    asyncio.run(play(made))
    made.close()


def test_nobody_waits_for_what_is_not_awaited() -> None:
    made = Fake(Kind.ALL)
    asyncio.run(notices.ready(cast("Sandbox", made), c.Named(NAME)))
    made.close()


def test_a_socket_is_reached_by_a_long_path_or_a_name(tmp_path: Path) -> None:
    place = tmp_path / ("d" * 100) / ("e" * 100)
    place.mkdir(parents=True)
    held = os.open(place, os.O_PATH)
    for bound, called in (
        (f"/proc/self/fd/{held}/s", str(place / "s")),
        (f"\0{tmp_path}", f"@{tmp_path}"),
    ):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as taker, ExitStack() as opened:
            taker.bind(bound)
            (found,) = notices.open_socket(Notices(Kind.READY, called, "/s"), opened)
            with socket.socket(fileno=os.dup(found)) as sender:
                sender.send(b"hi")
            assert taker.recv(9) == b"hi"
    os.close(held)


def test_a_socket_without_a_listener(tmp_path: Path) -> None:
    missing = str(tmp_path / "none")
    with ExitStack() as opened:
        with pytest.raises(InvalidRequest, match="NOTIFY_SOCKET: cannot use"):
            notices.open_socket(Notices(Kind.READY, missing, "/s"), opened)
        assert len(notices.open_socket(Notices(Kind.ALL, missing, "/s"), opened)) == 1
        assert notices.open_socket(None, opened) == []


def test_a_link_in_a_volume_leads_to_no_socket_of_the_host(tmp_path: Path) -> None:
    """What a container has made there in an earlier life must not choose whom we tell."""
    volume = tmp_path / "volume"
    (volume / "real").mkdir(parents=True)
    hosts = tmp_path / "hosts"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as taker:
        taker.bind(str(hosts))
        (volume / "s").symlink_to(hosts)
        (volume / "linked").symlink_to(tmp_path)
        for inner in ("s", "linked/hosts", "../hosts"):
            planted = Notices(Kind.ALL, str(volume), "/data/s", inner)
            with ExitStack() as opened:
                (found,) = notices.open_socket(planted, opened)
                with (
                    socket.socket(fileno=os.dup(found)) as sender,
                    pytest.raises(OSError, match="not connected"),
                ):
                    sender.send(b"forged")
        with ExitStack() as opened:
            (volume / "real" / "s").hardlink_to(hosts)
            (found,) = notices.open_socket(
                Notices(Kind.ALL, str(volume), "/data/real/s", "real/s"), opened
            )
            with socket.socket(fileno=os.dup(found)) as sender:
                sender.send(b"hi")
        assert taker.recv(9) == b"hi"
