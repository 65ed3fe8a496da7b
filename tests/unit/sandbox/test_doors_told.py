"""Ports of a guest that cannot be opened on the host are logged, but not without end."""

from __future__ import annotations

import errno
import os
from types import SimpleNamespace
from typing import Any, NoReturn, cast

import pytest

from enclos.sandbox import doors
from enclos.sandbox.doors import Doors
from enclos.wire import netmessages as n

MOST = 1024


def _taken(*_: object) -> NoReturn:
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def test_every_address_of_the_loopback_is_not_logged_at_every_event(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doors, "_listening", _taken)
    shared = Doors(cast("Any", SimpleNamespace(name="n")), everywhere=True)
    for event in range(5):
        found = (n.Listener(f"127.{event}.{at // 256}.{at % 256}", 22) for at in range(MOST))
        doors.follow(shared, cast("Any", None), tuple(found))
    assert capfd.readouterr().err.count("cannot be opened on the host") == MOST
