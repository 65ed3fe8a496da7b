"""Listeners as the kernel writes them down."""

from __future__ import annotations

import socket

import pytest

from enclos.linux import listening

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when\n"
V4 = "   0: {}:1F90 00000000:0000 {} 00000000:00000000 00:00000000 00000000     0\n"


@pytest.mark.parametrize(
    ("address", "family", "found"),
    [
        ("00000000", socket.AF_INET, "0.0.0.0"),
        ("0100007F", socket.AF_INET, "127.0.0.1"),
        ("00000000000000000000000001000000", socket.AF_INET6, "::1"),
        ("000077FD000000000000000002000000", socket.AF_INET6, "fd77::2"),
        ("0000000000000000FFFF00000100007F", socket.AF_INET6, "::ffff:127.0.0.1"),
    ],
)
def test_addresses(address: str, family: int, found: str) -> None:
    assert listening.parsed(HEAD + V4.format(address, "0A"), family) == {(found, 8080)}


def test_other_sockets_and_lines_that_were_cut_off_are_none() -> None:
    table = HEAD + V4.format("0100007F", "01") + "   1: 0100007F:00"
    assert listening.parsed(table, socket.AF_INET) == set()


def test_the_state_of_a_datagram_socket() -> None:
    table = HEAD + V4.format("0B00007F", "07")
    assert listening.parsed(table, socket.AF_INET, state="07") == {("127.0.0.11", 8080)}
