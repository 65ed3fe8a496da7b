"""passt in its jail, in a namespace of the test: it answers for every address, and connects."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

import pytest

from enclos.linux import jail
from enclos.tools import passt
from tests.support import bridges

UID = 64056
GUEST = bytes.fromhex("020000000042")


@pytest.fixture
def tool_root() -> Path:
    shared = Path(os.environ.get("ENCLOS_TEST_DATA_ROOT", "/var/lib/enclos"))
    root = shared / "assets/current/tool-root"
    if not root.exists():
        pytest.skip("assets are missing: enclos assets build")
    return root.resolve()


@pytest.mark.parametrize("given", [False, True])
def test_it_answers_for_the_gateway(tool_root: Path, tmp_path: Path, *, given: bool) -> None:
    log = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    guest, far = socket.socketpair()
    with bridges.new() as bridge, guest, far:
        member = bridge.member()
        address = member.ip["eth0"]
        with passt.serving(
            tool_root, member.netns.descriptor, passt.shared((address,)), uid=UID, output=log,
            connection=far if given else None,
        ) as helper:  # fmt: skip
            jail.confirm(helper.spawned)
            connection = helper.connection or guest
            assert given == (helper.connection is None)
            connection.settimeout(20)
            connection.send(_framed(_asks(address, f"{bridges.NETWORK}.1")))
            answer = _frame(connection)
    os.close(log)
    assert answer[:6] == GUEST
    assert answer[12:14] == b"\x08\x06", (tmp_path / "log").read_text()
    assert answer[20:28] == b"\0\2" + bytes.fromhex(passt.MAC.replace(":", ""))


def _asks(own: str, wanted: str) -> bytes:
    """An ARP request."""
    ethernet = b"\xff" * 6 + GUEST + b"\x08\x06"
    head = struct.pack(">HHBBH", 1, 0x0800, 6, 4, 1)
    addresses = GUEST + socket.inet_aton(own) + bytes(6) + socket.inet_aton(wanted)
    return ethernet + head + addresses


def _framed(frame: bytes) -> bytes:
    return struct.pack(">I", len(frame)) + frame


def _frame(connection: socket.socket) -> bytes:
    """The next ARP frame."""
    while True:
        (length,) = struct.unpack(">I", _exactly(connection, 4))
        frame = _exactly(connection, length)
        if frame[12:14] == b"\x08\x06":
            return frame


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        assert piece, "passt has ended"
        data += piece
    return data
