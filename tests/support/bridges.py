"""A bridge in a namespace of a test, and containers' namespaces cabled to it as engines do it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count

from tests.support import netns, waiting
from tests.support.netns import Netns

NETWORK = "10.77.0"
NETWORK6 = "fd77:"


@dataclass
class Bridge:
    """A namespace with a bridge `br0`, .1 of both networks."""

    host: Netns
    stack: ExitStack
    numbers: Iterator[int] = field(default_factory=lambda: count(2))

    def member(self, *, addresses: bool = True, mtu: int = 1500) -> Member:
        """A namespace with an interface on the bridge, its addresses and default routes."""
        made = Member(self, self.stack.enter_context(netns.new()))
        made.connect("eth0", addresses=addresses, mtu=mtu)
        if addresses:
            made.netns.script(f"""
                ip route add default via {NETWORK}.1
                ip -6 route add default via {NETWORK6}:1
            """)
        return made


@dataclass
class Member:
    """A container's namespace, its addresses and the bridge's ports, by interface."""

    bridge: Bridge
    netns: Netns
    ip: dict[str, str] = field(default_factory=dict[str, str])
    ip6: dict[str, str] = field(default_factory=dict[str, str])
    ports: dict[str, str] = field(default_factory=dict[str, str])

    def connect(self, name: str, *, addresses: bool = True, mtu: int = 1500) -> None:
        """One more interface on the bridge."""
        number = next(self.bridge.numbers)
        port = self.ports[name] = f"port{number}"
        netns.cable(self.netns, name, self.bridge.host, port)
        self.bridge.host.run("ip", "link", "set", port, "master", "br0", "mtu", str(mtu))
        self.netns.run("ip", "link", "set", name, "mtu", str(mtu))
        if addresses:
            self.ip[name] = f"{NETWORK}.{number}"
            self.ip6[name] = f"{NETWORK6}:{number}"
            self.netns.script(f"""
                ip address add {self.ip[name]}/24 dev {name}
                ip -6 address add {self.ip6[name]}/64 dev {name} nodad
            """)

    def settle(self) -> None:
        """Wait until the kernel has chosen an address, and found that nobody has it: up to 3 s."""

        def settled() -> bool:
            shown = self.netns.run("ip", "-6", "address")
            return "inet6 fe80" in shown and "tentative" not in shown

        waiting.until(settled)

    def disconnect(self, name: str) -> None:
        """Take the interface away."""
        self.netns.run("ip", "link", "delete", name)


@contextmanager
def new() -> Iterator[Bridge]:
    """A bridge without members."""
    with ExitStack() as stack:
        host = stack.enter_context(netns.new())
        host.script(f"""
            ip link add br0 type bridge
            ip link set br0 up
            ip address add {NETWORK}.1/24 dev br0
            ip -6 address add {NETWORK6}:1/64 dev br0 nodad
        """)
        yield Bridge(host, stack)
