"""Networks with names, below the data root, and who is in them, below the state root.

`networks/NAME.json` says what a network is, until it is removed; `networks/ID/CONTAINER.json`
that a container has addresses in it, until it ends. One lock guards all of it, and whoever sets
a network up or takes it apart has that lock as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from enclos.errors import Exists, InvalidRequest, NotFound, Unclean, WrongState
from enclos.ids import check_id
from enclos.linux import files
from enclos.plan.bridging import Endpoint, NamedNetwork
from enclos.state import store
from enclos.state.store import StateRoot
from enclos.structs import dataclass
from enclos.wire import codec

_SUFFIX: Final = ".json"
_LIMIT: Final = 1 << 20
_LOCK_TIMEOUT_S: Final = 120
_PLACE: Final = "networks"
_AARDVARK: Final = "netavark"


@dataclass(frozen=True, slots=True)
class Networks:
    """Where both parts are."""

    data_root: Path
    root: StateRoot

    @property
    def definitions(self) -> Path:
        """The directory of the networks."""
        return self.data_root / _PLACE

    @property
    def aardvark(self) -> Path:
        """The directory in which netavark keeps what is true until the next boot."""
        return self.root.path / _PLACE / _AARDVARK

    def members(self, network_id: str) -> Path:
        """The directory of who is in a network."""
        return self.root.path / _PLACE / check_id(network_id)


@contextmanager
def locked(networks: Networks) -> Iterator[None]:
    """Nobody else looks or changes anything meanwhile; raises `TimedOut`."""
    store.make_directory(networks.definitions)
    with files.locked(networks.definitions / ".lock", timeout_s=_LOCK_TIMEOUT_S):
        yield


def add(networks: Networks, network: NamedNetwork) -> None:
    """Write a new one down; raises `Exists` if the name is taken. Locked."""
    path = _path(networks, network.name)
    if path.exists():
        raise Exists(
            f"network with name {network.name} already exists",
            hint=f"use it, or remove it: enclos network rm {network.name}",
        )
    store.write_file(path, codec.encode(network))


def load(networks: Networks, name: str) -> NamedNetwork:
    """The one called so; raises `NotFound`, `Unclean` for a damaged one."""
    path = _path(networks, name)
    try:
        return codec.decode(NamedNetwork, files.read_bounded(path, _LIMIT))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _no_such(name) from error
    except codec.CodecError as error:
        raise Unclean(
            f"the network {path} is damaged or of another version: {error}",
            hint=f"remove the file {path}, and make it anew: enclos network create {name}",
        ) from error


def find(networks: Networks, reference: str) -> NamedNetwork:
    """The one that is meant: a name, an id or the beginning of one; raises `NotFound`."""
    if reference in names(networks):
        return load(networks, reference)
    found = [one for one in everything(networks) if reference and one.id.startswith(reference)]
    if len(found) > 1:
        raise InvalidRequest(
            f"{reference!r} is the beginning of {len(found)} networks' ids",
            hint="write more of it, or the name",
        )
    if not found:
        raise _no_such(reference)
    return found[0]


def everything(networks: Networks) -> list[NamedNetwork]:
    """All of them, by name; raises `Unclean` for a damaged one."""
    return [load(networks, name) for name in names(networks)]


def names(networks: Networks) -> list[str]:
    """The names of all, sorted."""
    found = networks.definitions.glob(f"*{_SUFFIX}")
    return sorted(path.name.removesuffix(_SUFFIX) for path in found if path.name[0] != ".")


def remove(networks: Networks, network: NamedNetwork) -> None:
    """Forget it; raises `WrongState` while containers are in it. Locked."""
    held = members(networks, network.id)
    if held:
        raise WrongState(
            f"network {network.name} has active endpoints: "
            + ", ".join(one.name for one in held[:5]),
            hint="stop these containers first; enclos sweep, if they were killed",
        )
    store.remove_tree(networks.members(network.id))
    store.remove_file(_path(networks, network.name))


def members(networks: Networks, network_id: str) -> list[Endpoint]:
    """Who is in a network; raises `Unclean` for what is damaged."""
    paths = sorted(networks.members(network_id).glob(f"*{_SUFFIX}"))
    found = (_member(path) for path in paths if path.name[0] != ".")
    return [one for one in found if one is not None]


def all_members(networks: Networks) -> list[Endpoint]:
    """Who is in any of the networks; raises `Unclean`."""
    return [one for network in everything(networks) for one in members(networks, network.id)]


def member(networks: Networks, network_id: str, container: str) -> Endpoint | None:
    """The container's place in the network; None if it is not in it."""
    return _member(_member_path(networks, network_id, container))


def join(networks: Networks, endpoint: Endpoint) -> None:
    """Write down that a container is in it. Locked."""
    path = _member_path(networks, endpoint.network, endpoint.container)
    store.make_directory(path.parent)
    store.write_file(path, codec.encode(endpoint))


def connected(networks: Networks, endpoint: Endpoint, port: str) -> None:
    """Write down by which port of the bridge. Locked."""
    join(networks, replace(endpoint, port=port))


def leave(networks: Networks, network_id: str, container: str) -> None:
    """Write down that it is not any more; gone already is done. Locked."""
    store.remove_file(_member_path(networks, network_id, container))


def _member(path: Path) -> Endpoint | None:
    try:
        return codec.decode(Endpoint, files.read_bounded(path, _LIMIT))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except codec.CodecError as error:
        raise Unclean(f"{path} is damaged: {error}", hint=f"remove it: rm {path}") from error


def _member_path(networks: Networks, network_id: str, container: str) -> Path:
    return networks.members(network_id) / f"{check_id(container)}{_SUFFIX}"


def _path(networks: Networks, name: str) -> Path:
    return networks.definitions / f"{check_id(name)}{_SUFFIX}"


def _no_such(reference: str) -> NotFound:
    return NotFound(
        f"network {reference[:200]!r} not found",
        hint="there are none, bridge, host, container:NAME and what enclos network ls shows; "
        "make it: enclos network create",
    )
