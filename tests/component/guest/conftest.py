"""The agent's parts beside real processes; the reaper takes over SIGCHLD while a test runs."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from enclos.guest.reaper import Reaper
from tests.support import port as ports
from tests.support.port import Port


@pytest.fixture
def port() -> Iterator[Port]:
    """The guest's end in this process, the host's end in the test's hands."""
    with ports.port() as made:
        yield made


@pytest.fixture
def reaper(port: Port) -> Iterator[Reaper]:
    """A reaper on the port's loop."""
    handler = signal.getsignal(signal.SIGCHLD)
    yield Reaper(port.loop)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, handler)
