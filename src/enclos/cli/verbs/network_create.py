"""`network create`: make a network that containers join by its name."""

from __future__ import annotations

import os
from collections.abc import Iterator

from enclos.cli import memberships, networklist, output
from enclos.cli.home import Home, open_home
from enclos.cli.parse import Parsed
from enclos.errors import InvalidRequest
from enclos.ids import new_id
from enclos.linux import namespaces
from enclos.network import namespace as looking
from enclos.plan import network as planning
from enclos.plan import runnetwork, subnets
from enclos.plan.bridging import NamedNetwork
from enclos.plan.flagtext import assignments
from enclos.plan.subnets import Network
from enclos.state import networks, records
from enclos.state.networks import Networks
from enclos.tools import netavark


def run(asked: Parsed) -> int:
    """Print its id."""
    return networklist.status(lambda: _create(open_home(), asked))


def _create(home: Home, asked: Parsed) -> None:
    name = runnetwork.check_name(asked.operands[0])
    _check_driver(asked.text("driver", "bridge"))
    labels = assignments("label", asked.texts("label"), bare=True)
    netavark.find()
    known = memberships.networks_of(home)
    with networks.locked(known):
        chosen = subnets.subnets(
            asked.texts("subnet"),
            asked.texts("gateway"),
            ip_ranges=asked.texts("ip-range"),
            ipv6=asked.on("ipv6"),
            taken=_taken(known),
            entropy=os.urandom(5),
        )
        network = NamedNetwork(
            new_id(), name, records.now(), chosen, internal=asked.on("internal"), labels=labels
        )
        networks.add(known, network)
    output.write(f"{network.id}\n")


def _check_driver(driver: str) -> None:
    if driver != "bridge":
        raise InvalidRequest(
            f"there is no network driver {driver[:80]!r}",
            hint="networks are bridges; give a container of an engine any other namespace",
        )


def _taken(known: Networks) -> Iterator[Network]:
    """Ranges of other networks, and those of the host's interfaces."""
    for network in networks.everything(known):
        yield from (one.network for one in network.subnets)
    path = os.fspath(namespaces.path_of("network"))
    with looking.opened(os.open(path, os.O_RDONLY | os.O_CLOEXEC), path) as namespace:
        yield from planning.ranges(looking.look(namespace))
