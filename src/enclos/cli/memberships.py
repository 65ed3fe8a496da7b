"""A container's places in networks with names: which, with what ports, and who is told of them.

The container's hosts file is its own to write, so nothing is learned from it: what links say is
noted beside it at a start.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from enclos.cli import lookup, portlist
from enclos.cli.home import Home
from enclos.errors import EnclosError, WrongState
from enclos.linux import files
from enclos.plan import etcfiles
from enclos.plan.attachments import Attachment
from enclos.plan.bridging import Endpoint, Membership, NamedNetwork
from enclos.state import networks
from enclos.state.definitions import Definition
from enclos.state.networks import Networks
from enclos.wire.control import PublishedPort

HOSTS: Final = "hosts"
_LINKS: Final = "links"
_MAX_BYTES: Final = 1 << 20


def networks_of(home: Home) -> Networks:
    """The networks with names."""
    return Networks(home.data_root, home.root)


def publisher(home: Home, joined: Sequence[Attachment]) -> str | None:
    """The network by which ports are published: the first with a way out; None if none has."""
    known = networks_of(home)
    for one in joined:
        if not networks.load(known, one.network).internal:
            return one.network
    return None


def wanted(home: Home, definition: Definition) -> tuple[Membership, ...]:
    """What it is to be in at a start; raises `WrongState` if its ports could not be reached."""
    network = definition.network
    by = publisher(home, network.joined) if network.ports else None
    if network.ports and network.joined and by is None:
        raise WrongState(
            f"the ports of {definition.name} cannot be published: its networks are internal",
            hint=f"run: enclos network connect NETWORK {definition.name}",
        )
    return tuple(
        membership(definition, one, network.ports if one.network == by else ())
        for one in network.joined
    )


def membership(
    definition: Definition, asked: Attachment, ports: tuple[PublishedPort, ...]
) -> Membership:
    """What the container wants of one of its networks, which publishes `ports`."""
    return Membership(
        asked.network,
        definition.name,
        aliases=asked.aliases,
        addresses=asked.addresses,
        mac=asked.mac,
        dns=definition.network.dns,
        ports=ports,
    )


def members(home: Home, definition: Definition) -> Iterator[tuple[NamedNetwork, Endpoint]]:
    """The container's places in networks with names that it has now."""
    known = networks_of(home)
    for asked in definition.network.joined:
        try:
            network = networks.load(known, asked.network)
            endpoint = networks.member(known, network.id, definition.id)
        except EnclosError:
            continue  # the network has gone
        if endpoint is not None:
            yield network, endpoint


def published(home: Home, definition: Definition, *, running: bool) -> tuple[PublishedPort, ...]:
    """The ports by which the container is reached now."""
    there = members(home, definition)
    return portlist.published(definition.network, there, running=running)


def note_links(home: Home, definition: Definition) -> tuple[str, ...]:
    """Lines of a hosts file about linked containers, as they are now, which are noted.

    Raises `WrongState` for one that is not running, `NotFound` for one that is gone.
    """
    found: list[str] = []
    for text in definition.network.links:
        other = lookup.find(home, text.partition(":")[0])
        now = _link(home, definition, text, other.name) if other.running else ()
        if not now:
            raise WrongState(
                f"cannot link to {other.name}: it does not run in a network of {definition.name}",
                hint=f"run: enclos start {other.name}",
            )
        found += now
    _note(home, definition, found)
    return tuple(found)


def note_links_again(home: Home, definition: Definition) -> None:
    """The same while the container runs: what is known of one that is in no network stays."""
    old = noted_links(home, definition)
    found: list[str] = []
    for text in definition.network.links:
        other_id, _, alias = text.partition(":")
        try:
            now = _link(home, definition, text, lookup.find(home, other_id).name)
        except EnclosError:
            now = ()  # it has gone, or a network has
        names = f"\t{alias} {other_id[: lookup.SHORT]} "
        found += now or (line for line in old if names in line)
    _note(home, definition, found)


def noted_links(home: Home, definition: Definition) -> tuple[str, ...]:
    """The lines as they were noted last."""
    place = lookup.directory(home, definition.id) / _LINKS
    try:
        return tuple(files.read_bounded(place, _MAX_BYTES).decode().splitlines())
    except FileNotFoundError:  # started by a version that noted none
        return ()


def _note(home: Home, definition: Definition, lines: Sequence[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    files.write_atomic(lookup.directory(home, definition.id) / _LINKS, text.encode())


def _link(home: Home, definition: Definition, text: str, name: str) -> tuple[str, ...]:
    """Those of one link, by the first network that both are in; none if there is none now."""
    known = networks_of(home)
    other_id, _, alias = text.partition(":")
    for asked in definition.network.joined:
        network = networks.load(known, asked.network)
        endpoint = networks.member(known, network.id, other_id)
        if endpoint is not None:
            names = f"{alias} {other_id[: lookup.SHORT]} {name}"
            return tuple(f"{address}\t{names}" for address in endpoint.addresses)
    return ()


def write_hosts(
    home: Home, definition: Definition, linked: Sequence[str], endpoints: Sequence[Endpoint]
) -> None:
    """The hosts file for a start, with the addresses that the container has this time."""
    text = hosts(definition, linked, endpoints)
    files.write_atomic(lookup.directory(home, definition.id) / HOSTS, text.encode(), mode=0o644)


def hosts(definition: Definition, linked: Sequence[str], endpoints: Sequence[Endpoint]) -> str:
    """The text of the hosts file."""
    pairs = (text.partition(":") for text in definition.network.hosts)
    others = (f"{address}\t{name}" for name, _, address in pairs)
    own = [address for endpoint in endpoints for address in endpoint.addresses]
    return etcfiles.hosts(definition.hostname, own, (*others, *linked))
