"""What the supervisor and the agent say to each other about the networks of a sandbox.

Part of the vocabulary of `messages`: interfaces and their addresses, listeners of one side that
are to be reached from the other, questions for names.
"""

from __future__ import annotations

from enclos.structs import dataclass


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface as it is to be. `index` is its number on the host, by which entries
    name it; `slot` the port where it arrives."""

    index: int
    slot: int
    name: str
    mac: str
    mtu: int
    up: bool
    arp: bool
    ipv6: bool
    accept_ra: int


@dataclass(frozen=True, slots=True)
class NetworkEntry:
    """An address, a route, a rule or a neighbour: a message of rtnetlink as hexadecimal text."""

    kind: str
    body: str


@dataclass(frozen=True, slots=True)
class Network:
    """Changes to a network: interfaces that are new or different, `gone` ones by their index,
    and entries to take away and to add, in this order. `ipv6`: whether the loopback speaks it."""

    namespace: str
    interfaces: tuple[Interface, ...] = ()
    gone: tuple[int, ...] = ()
    removed: tuple[NetworkEntry, ...] = ()
    added: tuple[NetworkEntry, ...] = ()
    ipv6: bool = True


@dataclass(frozen=True, slots=True)
class Watch:
    """Tell who listens in a network: now, and as it changes, looking every so often."""

    namespace: str
    period_ms: int


@dataclass(frozen=True, slots=True)
class Listener:
    """A TCP socket that listens."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Listeners:
    """Event: all that listen in a network now, at most 1,024."""

    namespace: str
    found: tuple[Listener, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """Connect to a listener of a network; two streams carry the connection's bytes."""

    namespace: str
    address: str
    port: int
    inward: int
    outward: int


@dataclass(frozen=True, slots=True)
class Mirror:
    """Listen in a network in place of these, which listen on the host, and of no others.

    `resolvers` get datagrams, each of which is a question with one answer.
    """

    namespace: str
    found: tuple[Listener, ...]
    resolvers: tuple[Listener, ...] = ()


@dataclass(frozen=True, slots=True)
class Knock:
    """Event: somebody has connected to the mirrored listener at `where`."""

    namespace: str
    number: int
    where: Listener


@dataclass(frozen=True, slots=True)
class Admit:
    """Who knocked is coupled with two streams, or refused."""

    namespace: str
    number: int
    inward: int = 0
    outward: int = 0
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """Event: a datagram for a mirrored resolver, in hexadecimal."""

    namespace: str
    number: int
    where: Listener
    data: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the resolver says to a question; empty if it says nothing."""

    namespace: str
    number: int
    data: str = ""
