"""Published ports of networks with names: nobody else has them, as long as they are published."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from enclos.errors import Exists, WrongState
from enclos.sandbox import uplinks
from enclos.wire.control import KeptPorts, PublishedPort

if TYPE_CHECKING:
    from enclos.sandbox.live import Sandbox

HERE = "127.0.0.1"


@pytest.fixture
def sandbox() -> Sandbox:
    return cast("Sandbox", SimpleNamespace(kept_ports={}))


def free() -> PublishedPort:
    with socket.create_server((HERE, 0)) as found:
        return PublishedPort("tcp", HERE, found.getsockname()[1], 80)


def can_be_had(port: PublishedPort) -> bool:
    try:
        with socket.create_server((HERE, port.host_port)):
            return True
    except OSError:
        return False


def test_until_the_way_is_closed(sandbox: Sandbox) -> None:
    port = free()
    with ExitStack() as way:
        uplinks.keep_for(sandbox, "a", (port,), way)
        assert not can_be_had(port)
    assert can_be_had(port)
    assert not sandbox.kept_ports


def test_others_instead(sandbox: Sandbox) -> None:
    port = free()
    with ExitStack() as way:
        uplinks.keep_for(sandbox, "a", (port,), way)
        asyncio.run(uplinks.keep_others(sandbox, KeptPorts("a")))
        assert can_be_had(port)
        asyncio.run(uplinks.keep_others(sandbox, KeptPorts("a", (port,))))
        assert not can_be_had(port)
    assert can_be_had(port)


def test_one_that_somebody_has(sandbox: Sandbox) -> None:
    other = free()
    with ExitStack() as way, socket.create_server((HERE, 0)) as theirs:
        taken = PublishedPort("tcp", HERE, theirs.getsockname()[1], 80)
        uplinks.keep_for(sandbox, "a", (), way)
        with pytest.raises(Exists, match="the port is already in use"):
            asyncio.run(uplinks.keep_others(sandbox, KeptPorts("a", (other, taken))))
        assert can_be_had(other)


def test_a_container_that_is_not_there(sandbox: Sandbox) -> None:
    with pytest.raises(WrongState, match="has no network in which ports are published"):
        asyncio.run(uplinks.keep_others(sandbox, KeptPorts("a")))
