from __future__ import annotations

from pathlib import Path

import pytest

from enclos.errors import Exists, InvalidRequest, NotFound, Unclean, WrongState
from enclos.plan.bridging import Endpoint, NamedNetwork
from enclos.plan.subnets import Subnet
from enclos.state import networks
from enclos.state.networks import Networks
from enclos.state.store import StateRoot

SUBNETS = (Subnet("10.1.2.0/24", "10.1.2.1"),)
OWN = NamedNetwork("ab" * 32, "own", "then", SUBNETS, labels={"a": "b"})
OTHER = NamedNetwork("ac" * 32, "other", "then", SUBNETS)
ENDPOINT = Endpoint("c" * 64, "web", OWN.id, ("10.1.2.2",), "02:42:0a:01:02:02")


@pytest.fixture
def known(tmp_path: Path) -> Networks:
    found = Networks(tmp_path / "data", StateRoot(tmp_path / "state"))
    with networks.locked(found):
        networks.add(found, OWN)
        networks.add(found, OTHER)
    return found


def test_found_by_name_and_id(known: Networks) -> None:
    assert networks.everything(known) == [OTHER, OWN]
    assert networks.find(known, "own") == networks.find(known, "abab") == OWN
    with pytest.raises(InvalidRequest, match="beginning of 2 networks"):
        networks.find(known, "a")
    for name in ("", "nowhere", "../own", "ff"):
        with pytest.raises((NotFound, InvalidRequest), match="not found"):
            networks.find(known, name)


def test_a_name_is_taken_once(known: Networks) -> None:
    with pytest.raises(Exists, match="network with name own already exists"):
        networks.add(known, NamedNetwork("ff" * 32, "own", "now", SUBNETS))
    assert networks.load(known, "own") == OWN


def test_who_is_in_it(known: Networks) -> None:
    networks.join(known, ENDPOINT)
    networks.connected(known, ENDPOINT, "veth7")
    (found,) = networks.members(known, OWN.id)
    assert (found.port, found.addresses) == ("veth7", ENDPOINT.addresses)
    assert networks.member(known, OWN.id, ENDPOINT.container) == found
    assert networks.members(known, OTHER.id) == []
    with pytest.raises(WrongState, match="network own has active endpoints: web"):
        networks.remove(known, OWN)
    networks.leave(known, OWN.id, ENDPOINT.container)
    networks.leave(known, OWN.id, ENDPOINT.container)
    networks.remove(known, OWN)
    assert networks.names(known) == ["other"]


def test_damaged(known: Networks) -> None:
    (known.definitions / "own.json").write_text("{")
    with pytest.raises(Unclean, match=r"own\.json is damaged"):
        networks.load(known, "own")
    networks.join(known, ENDPOINT)
    (known.members(OWN.id) / f"{ENDPOINT.container}.json").write_text("[]")
    with pytest.raises(Unclean, match="is damaged"):
        networks.members(known, OWN.id)
