"""From what a user calls a container to what is known about it.

A container of `enclos` has a definition below the data root, and a record below the state root
since it was last started. One that an engine made with `enclos-oci` has a record only.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from enclos.cli import complain
from enclos.cli.home import Home
from enclos.errors import InvalidRequest, NotFound, Unclean, WrongState
from enclos.sandbox import reach
from enclos.state import definitions
from enclos.state.definitions import Definition
from enclos.state.records import ContainerRecord
from enclos.structs import dataclass

SHORT: Final = 12
LAST_START: Final = "last-start"
"""A file beside the definition: when the container was last started."""
LOST_STATUS: Final = 255
"""Exit status of a container whose record went with the host's last run, as docker has it."""
_WORDS: Final = {"creating": "created", "created": "created", "stopped": "exited"}


@dataclass(frozen=True, slots=True)
class Container:
    """What is known about one container; there is a definition or a record or both."""

    id: str
    status: str
    """created, running, paused or exited."""
    definition: Definition | None
    record: ContainerRecord | None

    @property
    def name(self) -> str:
        """Its name; the id of one that has none."""
        return self.definition.name if self.definition else self.id

    @property
    def running(self) -> bool:
        """Whether it has processes, frozen or not."""
        return self.status in {"running", "paused"}

    @property
    def created(self) -> str:
        """When it was defined, or made."""
        if self.definition is not None:
            return self.definition.created
        return self.record.created if self.record else ""

    @property
    def exit_status(self) -> int:
        """How it ended; 0 if it has not."""
        if self.status != "exited":
            return 0
        if self.record is None:
            return LOST_STATUS
        return 137 if self.record.exit_status is None else self.record.exit_status

    def defined(self) -> Definition:
        """The definition; raises `WrongState` for a container of an engine's."""
        if self.definition is None:
            raise WrongState(
                f"container {self.id} was made by an engine, not by enclos",
                hint="use that engine, or enclos-oci",
            )
        return self.definition


def find(home: Home, reference: str) -> Container:
    """The container called `reference`: id, name, or beginning of an id; raises `NotFound`."""
    try:
        container_id = definitions.resolve(home.data_root, reference)
    except NotFound:
        foreign = _foreign(home, reference)
        if not foreign:
            raise
        return _read(home, foreign, None)
    return _read(home, container_id, definitions.load(home.data_root, container_id))


def everything(home: Home) -> list[Container]:
    """All containers, newest first; a damaged one is complained about and left out."""
    found = list(_everything(home))
    return sorted(found, key=lambda container: container.created, reverse=True)


def _everything(home: Home) -> Iterator[Container]:
    known = definitions.ids(home.data_root)
    for container_id in known:
        try:
            yield _read(home, container_id, definitions.load(home.data_root, container_id))
        except NotFound:
            continue  # being made, or just removed
        except Unclean as error:
            complain.complain(error)
    for container_id in home.root.container_ids():
        if container_id in known:
            continue
        try:
            yield _read(home, container_id, None)
        except NotFound:
            continue  # being created, or just deleted
        except Unclean as error:
            complain.complain(error)


def _foreign(home: Home, reference: str) -> str:
    """The id of a container that has a record only; empty if there is none."""
    known = home.root.container_ids()
    if reference in known:
        return reference
    matching = [name for name in known if reference and name.startswith(reference)]
    if len(matching) > 1:
        raise InvalidRequest(
            f"{reference!r} is the beginning of {len(matching)} containers' ids",
            hint="write more of it",
        )
    return matching[0] if matching else ""


def _read(home: Home, container_id: str, definition: Definition | None) -> Container:
    try:
        record, status = reach.container(home.root, container_id)
    except NotFound:
        if definition is None:
            raise
        started = (directory(home, container_id) / LAST_START).exists()
        return Container(container_id, "exited" if started else "created", definition, None)
    return Container(container_id, _WORDS.get(status, status), definition, record)


def directory(home: Home, container_id: str) -> Path:
    """Where the container's definition, log and writable layer are."""
    return definitions.directory(home.data_root, container_id)
