from __future__ import annotations

from enclos.plan import resolvconf
from enclos.plan.runnetwork import Mode, RunNetwork

HOST = "# made\ndomain a.example\nnameserver 127.0.0.1\nnameserver 192.0.2.1\noptions ndots:2\n"


def test_names_are_asked_as_the_host_does() -> None:
    text, asks = resolvconf.make(RunNetwork(Mode.BRIDGE), HOST)
    assert text.splitlines() == [
        "nameserver 10.0.2.3", "nameserver 192.0.2.1", "search a.example", "options ndots:2"
    ]  # fmt: skip
    assert asks == "127.0.0.1"
    text, asks = resolvconf.make(RunNetwork(Mode.HOST), HOST)
    assert (text.splitlines()[0], asks) == ("nameserver 127.0.0.1", "")
    assert resolvconf.make(RunNetwork(), HOST) == ("", "")


def test_servers_that_a_private_network_does_not_lead_to_are_left_out() -> None:
    """passt hands questions on within a family; a link of the host's is not the container's."""
    servers = ("::1", "127.0.0.53", "fe80::1%eth0", "2001:db8::1")
    host = "".join(f"nameserver {one}\n" for one in servers)
    text, asks = resolvconf.make(RunNetwork(Mode.BRIDGE), host)
    assert text == "nameserver 10.0.2.3\nnameserver 2001:db8::1\n"
    assert asks == "127.0.0.53"
    assert resolvconf.make(RunNetwork(Mode.BRIDGE), "nameserver ::1\n") == ("", "")
    assert resolvconf.make(RunNetwork(Mode.HOST), host)[0] == host


def test_names_are_asked_as_the_flags_say() -> None:
    flags = RunNetwork(Mode.BRIDGE, dns=("192.0.2.9",), dns_search=(".",), dns_options=("ndots:1",))
    text, asks = resolvconf.make(flags, HOST)
    assert (text, asks) == ("nameserver 192.0.2.9\noptions ndots:1\n", "")


def test_names_are_asked_in_the_network() -> None:
    asks = RunNetwork(Mode.NETWORK, "own", dns=("192.0.2.9",))
    text, server = resolvconf.make(asks, HOST, ("10.65.0.1",))
    assert text.splitlines()[0] == "nameserver 10.65.0.1"
    assert (text.count("nameserver"), server) == (1, "")
