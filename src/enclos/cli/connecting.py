"""Puts a container of ours into a network with a name, or takes it out, whether it runs or not."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from enclos.cli import belongings, lookup, networking
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
    from enclos.state.definitions import Definition

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
        if container.running:
            _connect_now(home, container, changed, asked)
        definitions.save(home.data_root, changed)


def _connect_now(home: Home, container: Container, changed: Definition, asked: Attachment) -> None:
    """The same for what runs; nothing of it stays if anything fails."""
    record, connection = reach.living(home.root, container.id)
    with closing(connection):
        has_ports = any(one.ports for _, one in networking.members(home, changed))
        wanted = networking.membership(changed, asked, () if has_ports else changed.network.ports)
        known = networking.networks_of(home)
        held = ledger.of_sandbox(home.root.sandbox(record.sandbox_id))
        taken = endpoints.take(known, held, container.id, wanted, kind=release.ENDPOINT)
        try:
            descriptor = os.open(f"/proc/{record.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            try:
                endpoints.connect(taken, descriptor)
            finally:
                os.close(descriptor)
            networking.rewrite(home, changed)
            connection.call("look", c.Named(container.id), m.Nothing)
        except BaseException:
            endpoints.give_back(taken)
            networking.rewrite(home, container.defined())
            raise


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
        networking.rewrite(home, changed)
        connection.call("look", c.Named(container.id), m.Nothing)
