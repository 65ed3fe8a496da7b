"""Containers of the `enclos` command as people asked for them: they outlive their runs.

Below the data root: `containers/ID/definition.json`, and `names/NAME`, a symbolic link whose
text is the id, because making a link is atomic and exclusive. What runs is in `records`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import field, replace
from pathlib import Path
from typing import Final

from enclos.errors import Exists, InvalidRequest, NotFound, Unclean
from enclos.ids import check_id, check_name
from enclos.linux import files
from enclos.plan.attachments import Attachment
from enclos.state import store
from enclos.structs import dataclass
from enclos.wire import codec
from enclos.wire.control import PublishedPort

FORMAT: Final = 1
_DEFINITION: Final = "definition.json"
_LIMIT: Final = 8 << 20
_LOCK_TIMEOUT_S: Final = 30
_SHORT: Final = 12


@dataclass(frozen=True, slots=True)
class Mount:
    """A volume, bind or tmpfs that was asked for; `options` as in the runtime specification."""

    kind: str
    source: str
    target: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Network:
    """The network that was asked for, `other` being the id of the container whose it is, or the
    name of the network.

    `hosts` are as docker writes them, NAME:ADDRESS; `more` are further networks with names,
    `links` the ids of other containers with what they are called, ID:ALIAS.
    """

    mode: str = "none"
    other: str = ""
    ports: tuple[PublishedPort, ...] = ()
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    mac: str = ""
    addresses: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    more: tuple[Attachment, ...] = ()
    links: tuple[str, ...] = ()

    @property
    def joined(self) -> tuple[Attachment, ...]:
        """The networks with names that it is in, in order."""
        if self.mode != "network" or not self.other:
            return ()
        return (Attachment(self.other, self.addresses, self.aliases, self.mac), *self.more)

    def joining(self, attachments: Sequence[Attachment]) -> Network:
        """The same in these networks, of which there may be none."""
        first, *more = attachments or (Attachment(""),)
        return replace(
            self, other=first.network, addresses=first.addresses, aliases=first.aliases,
            mac=first.mac, more=tuple(more),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Definition:
    """One container as defined. Zero and empty mean "not asked for".

    `rootfs_kind` is `image` (then `image`, `image_digest` and `layers`, topmost first, say
    which) or `directory` (then `rootfs` is the caller's). `log`: whether output is kept.
    """

    id: str
    name: str
    created: str
    rootfs_kind: str
    args: tuple[str, ...]
    image: str = ""
    image_digest: str = ""
    layers: tuple[str, ...] = ()
    rootfs: str = ""
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    workdir: str = "/"
    user: str = ""
    groups: tuple[str, ...] = ()
    hostname: str = ""
    tty: bool = False
    interactive: bool = False
    detach: bool = False
    auto_remove: bool = False
    log: bool = True
    read_only: bool = False
    labels: dict[str, str] = field(default_factory=dict[str, str])
    annotations: dict[str, str] = field(default_factory=dict[str, str])
    mounts: tuple[Mount, ...] = ()
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    stop_signal: str = ""
    stop_timeout_s: int = 10
    restart: str = "no"
    memory_bytes: int = 0
    cpus: float = 0.0
    pids_limit: int = 0
    shm_size_bytes: int = 0
    spec_path: str = ""
    template: bool = True
    network: Network = Network()
    format: int = FORMAT


def directory(data_root: Path, container_id: str) -> Path:
    """The directory of a container below the data root; raises `InvalidRequest`."""
    return data_root / "containers" / check_id(container_id)


def add(data_root: Path, definition: Definition) -> None:
    """Write a new definition and take its name; raises `Exists` if the name is taken."""
    check_name(definition.name)
    home = directory(data_root, definition.id)
    with _locked(data_root):
        _check_free(data_root, definition.name)
        store.new_directory(home)
        try:
            save(data_root, definition)
            store.link(_names(data_root) / definition.name, definition.id)
        except BaseException:
            store.remove_tree(home)
            raise


def save(data_root: Path, definition: Definition) -> None:
    """Write a definition that was changed, but for its name; raises `OSError`."""
    path = directory(data_root, definition.id) / _DEFINITION
    store.write_file(path, codec.encode(definition))


def rename(data_root: Path, definition: Definition, changed: Definition) -> None:
    """Write `changed` under its new name and free the old one; raises `Exists`."""
    check_name(changed.name)
    with _locked(data_root):
        if changed.name != definition.name:
            _check_free(data_root, changed.name)
            store.link(_names(data_root) / changed.name, changed.id)
        save(data_root, changed)
        if changed.name != definition.name:
            _free(data_root, definition)


def remove(data_root: Path, definition: Definition) -> None:
    """Free the name and remove the container's directory; gone already is done.

    Raises `Unclean` if something is still mounted in it.
    """
    with _locked(data_root):
        _free(data_root, definition)
        store.remove_tree(directory(data_root, definition.id))


def load(data_root: Path, container_id: str) -> Definition:
    """The definition with this full id; raises `NotFound`, `Unclean` for a damaged one."""
    path = directory(data_root, container_id) / _DEFINITION
    try:
        return codec.decode(Definition, files.read_bounded(path, _LIMIT))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _no_such(container_id) from error
    except codec.CodecError as error:
        raise Unclean(
            f"the definition {path} is damaged or of another version: {error}",
            hint=f"remove the container: enclos rm --force {container_id[:_SHORT]}",
        ) from error


def all_definitions(data_root: Path) -> list[Definition]:
    """Every definition, oldest first; raises `Unclean` for a damaged one."""
    found: list[Definition] = []
    for container_id in ids(data_root):
        try:
            found.append(load(data_root, container_id))
        except NotFound:
            continue  # being made, or just removed
    return sorted(found, key=lambda definition: definition.created)


def ids(data_root: Path) -> list[str]:
    """Ids of all defined containers, damaged ones as well."""
    place = data_root / "containers"
    if not place.is_dir():
        return []
    return sorted(path.name for path in place.iterdir() if not path.name.startswith("."))


def purge_abandoned(data_root: Path) -> list[str]:
    """Remove what an interrupted `add` left; answers the ids. Raises `Unclean`."""
    if not (data_root / "containers").is_dir():
        return []
    with _locked(data_root):
        found = [directory(data_root, name) for name in ids(data_root)]
        abandoned = [home for home in found if not (home / _DEFINITION).exists()]
        for home in abandoned:
            store.remove_tree(home)
    return [home.name for home in abandoned]


def lookup(data_root: Path, reference: str) -> Definition:
    """The container that `reference` means: a full id, a name, or the beginning of an id.

    Raises `NotFound`, and `InvalidRequest` if several ids begin so.
    """
    return load(data_root, resolve(data_root, reference))


def resolve(data_root: Path, reference: str) -> str:
    """The full id that `reference` means; raises as `lookup` does."""
    known = ids(data_root)
    if reference in known:
        return reference
    named = _named(data_root, reference)
    if named in known:
        return named
    matching = [name for name in known if reference and name.startswith(reference)]
    if len(matching) > 1:
        raise InvalidRequest(
            f"{reference!r} is the beginning of {len(matching)} containers' ids",
            hint="write more of it: " + ", ".join(name[:_SHORT] for name in matching[:4]),
        )
    if not matching:
        raise _no_such(reference)
    return matching[0]


def _no_such(reference: str) -> NotFound:
    return NotFound(
        f"no such container: {reference[:200]}", hint="see which there are: enclos ps --all"
    )


def _named(data_root: Path, name: str) -> str:
    """The id behind a name; empty if there is none."""
    if not name or "/" in name or name.startswith("."):
        return ""
    try:
        return _names(data_root).joinpath(name).readlink().name
    except OSError:
        return ""


def _check_free(data_root: Path, name: str) -> None:
    """Raise `Exists` if the name is taken; one whose container is gone is freed."""
    holder = _named(data_root, name)
    if not holder:
        return
    if (directory(data_root, holder) / _DEFINITION).exists():
        raise Exists(
            f"the container name {name!r} is already in use by container {holder[:_SHORT]}",
            hint=f"remove that container (enclos rm {name}) or choose another name",
        )
    store.remove_file(_names(data_root) / name)


def _free(data_root: Path, definition: Definition) -> None:
    if _named(data_root, definition.name) == definition.id:
        store.remove_file(_names(data_root) / definition.name)


def _names(data_root: Path) -> Path:
    return data_root / "names"


@contextmanager
def _locked(data_root: Path) -> Iterator[None]:
    """One writer at a time; readers need no lock."""
    for place in (data_root, data_root / "containers", _names(data_root)):
        store.make_directory(place)
    with files.locked(data_root / "containers" / ".lock", timeout_s=_LOCK_TIMEOUT_S):
        yield
