"""What a client has not read yet, and for how long somebody waits for it."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from enclos.shim import stdio
from enclos.shim.stdio import Names


def _filled(path: Path, count: int) -> stdio.Stdio:
    os.mkfifo(path)
    with stdio.opened(Names(stdout=os.fspath(path)), environment={}) as streams:
        os.write(streams.descriptors[0], bytes(count))
    return streams


def test_a_slow_reader_is_waited_for(tmp_path: Path) -> None:
    streams = _filled(tmp_path / "out", 50_000)

    async def reads() -> int:
        reader = os.open(tmp_path / "out", os.O_RDONLY | os.O_NONBLOCK)
        seen = 0
        while streams.unread:
            seen += len(os.read(reader, 10_000))
            await asyncio.sleep(0.05)
        os.close(reader)
        return seen

    async def both() -> None:
        reading = asyncio.create_task(reads())
        await stdio.wait_read(streams)
        assert streams.unread == 0
        assert await reading == 50_000

    asyncio.run(both())
    streams.close()


def test_nobody_is_not_waited_for(tmp_path: Path) -> None:
    streams = _filled(tmp_path / "out", 10)
    began = time.monotonic()
    asyncio.run(stdio.wait_read(streams))
    assert time.monotonic() - began < 5
    assert streams.unread == 10
    streams.close()
