"""Somebody like systemd, who hears how a program is getting on, and a program that says so."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

SAY: Final = (
    "import os, socket, sys, time; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); "
    "s.connect(os.environ['NOTIFY_SOCKET']); s.send(b'STATUS=coming'); time.sleep(2); "
    "s.send(b'READY=1\\nSTATUS=up'); s.send(b'MAINPID=1'); time.sleep(1000)"
)
"""For the python of the host, which the container sees."""


@contextmanager
def manager(path: Path) -> Iterator[list[bytes]]:
    """Somebody like systemd at `path`; what it hears."""
    heard: list[bytes] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as taker:
        taker.bind(str(path))

        def listen() -> None:
            while data := taker.recv(4096):
                heard.append(data)

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield heard
        finally:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
                last.sendto(b"", str(path))
            thread.join()
