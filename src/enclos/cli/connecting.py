"""Puts a container of ours into a network with a name, or takes it out, whether it runs or not."""

from __future__ import annotations

import os
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from enclos.cli import belongings, lookup, memberships, networking
from enclos.cli.home import Home
from enclos.cli.lookup import Container
from enclos.errors import Exists, NotFound, WrongState
from enclos.network import endpoints
from enclos.plan.runnetwork import Mode
from enclos.sandbox import reach, release
from enclos.state import definitions, ledger
from enclos.wire import control as c
from enclos.wire import messages as m

if TYPE_CHECKING:
    from enclos.plan.attachments import Attachment
    from enclos.plan.bridging import NamedNetwork
    from enclos.sandbox.client import Connection
    from enclos.state.definitions import Definition
    from enclos.wire.control import PublishedPort

_WHY: Final[dict[str, str]] = {
    Mode.NONE: "it has none, and keeps that",
    Mode.BRIDGE: "the private network that it has is its only one",
    Mode.HOST: "it has the host's network",
    Mode.CONTAINER: "it has the network of another container",
}


def connect(home: Home, reference: str, asked: Attachment) -> None:
    """Raises `Exists` if it is there already, `WrongState` for a container of another kind."""
    asked = networking.attachment(home, asked)
    with belongings.alone(home, lookup.find(home, reference).id):
        container = lookup.find(home, reference)
        definition = container.defined()
        if definition.network.mode != Mode.NETWORK:
            raise WrongState(
                f"container {definition.name} cannot be connected to network {asked.network}: "
                f"{_WHY[definition.network.mode]}",
                hint=f"make it anew: enclos run --network {asked.network}",
            )
        if any(one.network == asked.network for one in definition.network.joined):
            raise Exists(
                f"endpoint with name {definition.name} already exists in network {asked.network}",
                hint=f"see: enclos network inspect {asked.network}",
            )
        joined = (*definition.network.joined, asked)
        changed = replace(definition, network=definition.network.joining(joined))
        definitions.save(home.data_root, changed)  # first: what it names, it can be taken out of
        if container.running:
            try:
                _connect_now(home, container, changed, asked)
            except BaseException:
                definitions.save(home.data_root, definition)
                raise


def _connect_now(home: Home, container: Container, changed: Definition, asked: Attachment) -> None:
    """The same for what runs; nothing of it stays if anything fails."""
    record, connection = reach.living(home.root, container.id)
    with closing(connection), ExitStack() as undo:
        wanted = memberships.membership(changed, asked, _ports(home, changed, asked))
        if wanted.ports:
            undo.callback(_keep_ports, connection, container.id, ())
            _keep_ports(connection, container.id, wanted.ports)
        held = ledger.of_sandbox(home.root.sandbox(record.sandbox_id))
        known = memberships.networks_of(home)
        undo.callback(rewrite, home, container.defined())
        taken = endpoints.take(known, held, container.id, wanted, kind=release.ENDPOINT)
        undo.callback(endpoints.give_back, taken)
        descriptor = os.open(f"/proc/{record.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            endpoints.connect(taken, descriptor)
        finally:
            os.close(descriptor)
        rewrite(home, changed)
        connection.call("look", c.Named(container.id), m.Nothing)
        undo.pop_all()


def _ports(home: Home, changed: Definition, asked: Attachment) -> tuple[PublishedPort, ...]:
    """What the new network publishes: the container's ports, if no other one does."""
    published = any(one.ports for _, one in memberships.members(home, changed))
    if published or memberships.publisher(home, (asked,)) is None:
        return ()
    return changed.network.ports


def _keep_ports(
    connection: Connection, container_id: str, ports: tuple[PublishedPort, ...]
) -> None:
    connection.call("keep", c.KeptPorts(container_id, ports), m.Nothing)


def disconnect(home: Home, network: NamedNetwork, reference: str) -> None:
    """Raises `NotFound` if it is not there."""
    with belongings.alone(home, lookup.find(home, reference).id):
        container = lookup.find(home, reference)
        definition = container.defined()
        joined = definition.network.joined
        left = tuple(one for one in joined if one.network != network.name)
        if left == joined:
            raise NotFound(
                f"container {definition.name} is not connected to network {network.name}",
                hint=f"see: enclos inspect {definition.name}",
            )
        changed = replace(definition, network=definition.network.joining(left))
        if container.running:
            _disconnect_now(home, container, changed, network)
        definitions.save(home.data_root, changed)


def _disconnect_now(
    home: Home, container: Container, changed: Definition, network: NamedNetwork
) -> None:
    record, connection = reach.living(home.root, container.id)
    with closing(connection):
        held = ledger.of_sandbox(home.root.sandbox(record.sandbox_id))
        for entry in held.entries():
            if entry.kind == release.ENDPOINT and entry.fields.get("network") == network.id:
                endpoints.release(entry.fields)
                held.clear(entry)
        left = [port for _, one in memberships.members(home, changed) for port in one.ports]
        if changed.network.ports and not left:
            _keep_ports(connection, container.id, ())
        rewrite(home, changed)
        connection.call("look", c.Named(container.id), m.Nothing)


def rewrite(home: Home, definition: Definition) -> None:
    """Write both files of a running container anew, in place: it has them mounted."""
    there = [endpoint for _, endpoint in memberships.members(home, definition)]
    linked = memberships.noted_links(home, definition)
    texts = {
        memberships.HOSTS: memberships.hosts(definition, linked, there),
        networking.RESOLV_CONF.name: networking.resolv_conf(home, definition.network)[0],
    }
    directory = lookup.directory(home, definition.id)
    for name, text in texts.items():
        with (directory / name).open("r+", encoding="utf-8") as file:
            file.write(text)
            file.truncate()
