"""Listeners of a namespace that are mirrored in a guest: where they are called."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest

from enclos.network import namespace as namespaces
from enclos.sandbox import mirror
from enclos.wire.netmessages import Listener
from tests.support import netns


@pytest.mark.parametrize("disabled", ["0", "1"])
@pytest.mark.parametrize("address", ["::", "0.0.0.0"])
def test_who_listens_everywhere_is_reached(address: str, disabled: str) -> None:
    """Also by [::] where the loopback has no ::1, as in a namespace of docker's."""
    with netns.new() as place:
        place.run("sysctl", "-qw", f"net.ipv6.conf.all.disable_ipv6={disabled}")
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with (
            place.entered(),
            socket.create_server((address, 80), family=family, dualstack_ipv6=":" in address),
            namespaces.opened(os.dup(place.descriptor), place.path) as namespace,
        ):
            found = asyncio.run(mirror.connected(namespace, Listener(address, 80)))
            assert found is not None
            found.close()


def test_who_has_gone_is_not() -> None:
    with (
        netns.new() as place,
        namespaces.opened(os.dup(place.descriptor), place.path) as namespace,
    ):
        assert asyncio.run(mirror.connected(namespace, Listener("::", 80))) is None
