"""Servers of names on a namespace's loopback, as the kernel lists them."""

from __future__ import annotations

import socket
import subprocess
from contextlib import ExitStack

from enclos.linux import listening
from tests.support.children import inside


def test_those_on_the_loopback_of_either_family_are_found() -> None:
    def body() -> None:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        with ExitStack() as stack:
            for address, port in (
                ("127.0.0.11", 40_000), ("127.0.0.53", 53), ("::1", 53), ("127.0.0.1", 123)
            ):  # fmt: skip
                server = socket.socket(listening.family(address), socket.SOCK_DGRAM)
                stack.enter_context(server).bind((address, port))
            assert listening.resolvers() == {"127.0.0.11", "127.0.0.53", "::1"}

    inside(body, ["network"])


def test_one_for_all_of_ipv6_listens_beside_one_for_all_of_ipv4() -> None:
    def body() -> None:
        with ExitStack() as stack:
            for address in ("0.0.0.0", "::"):
                door = stack.enter_context(socket.socket(listening.family(address)))
                listening.bind(door, (address, 80), backlog=1)
            assert listening.sockets() == {("0.0.0.0", 80), ("::", 80)}

    inside(body, ["network"])
