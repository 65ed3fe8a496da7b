"""Containers as rows of a listing, with docker's fields; and docker's filters on them."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterable
from typing import Final

from enclos.cli import memberships, portlist, wording
from enclos.cli.home import Home
from enclos.cli.lookup import SHORT, Container
from enclos.cli.output import Columns
from enclos.errors import EnclosError, InvalidRequest
from enclos.sandbox import reach

COLUMNS: Final = Columns(
    headings={
        "ID": "CONTAINER ID",
        "Image": "IMAGE",
        "Command": "COMMAND",
        "RunningFor": "CREATED",
        "Status": "STATUS",
        "Ports": "PORTS",
        "Names": "NAMES",
        "CreatedAt": "CREATED AT",
        "State": "STATE",
        "ExitCode": "EXIT CODE",
        "Pid": "PID",
        "Labels": "LABELS",
        "Mounts": "MOUNTS",
        "SandboxID": "SANDBOX ID",
    },
    shown=("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"),
)
_COMMAND_WIDTH: Final = 20
_FILTERS: Final = ("id", "name", "label", "status", "ancestor", "exited")
_STATES: Final = ("created", "running", "paused", "exited")


def row(home: Home, container: Container, *, truncate: bool) -> dict[str, object]:
    """One container's fields."""
    definition, record = container.definition, container.record
    command = _command(home, container)
    if truncate and len(command) > _COMMAND_WIDTH:
        command = f"{command[: _COMMAND_WIDTH - 1]}…"
    labels = definition.labels if definition else {}
    mounts = definition.mounts if definition else ()
    return {
        "ID": container.id[:SHORT] if truncate and definition else container.id,
        "Image": definition.image or definition.rootfs if definition else "",
        "Command": f'"{command}"' if command else "",
        "RunningFor": f"{wording.since(container.created, time.time_ns())} ago",
        "Status": status_text(container),
        "Ports": _ports(home, container),
        "Names": container.name,
        "CreatedAt": wording.shown_stamp(container.created),
        "State": container.status,
        "ExitCode": container.exit_status,
        "Pid": record.pid if record and container.running else 0,
        "Labels": ",".join(f"{key}={value}" for key, value in sorted(labels.items())),
        "Mounts": ",".join(mount.source or mount.kind for mount in mounts),
        "SandboxID": record.sandbox_id if record else "",
    }


def _ports(home: Home, container: Container) -> str:
    if container.definition is None:
        return ""
    running = container.running
    return portlist.summary(memberships.published(home, container.definition, running=running))


def status_text(container: Container) -> str:
    """`Up 3 minutes`, `Exited (0) 2 hours ago`, as docker says it."""
    record, now = container.record, time.time_ns()
    if container.status == "created":
        return "Created"
    if container.status == "exited":
        ago = wording.since(record.finished_at, now) if record else ""
        return f"Exited ({container.exit_status})" + (f" {ago} ago" if ago else "")
    up = wording.since(record.started_at, now) if record else ""
    return f"Up {up}" + (" (Paused)" if container.status == "paused" else "")


def _command(home: Home, container: Container) -> str:
    if container.definition is not None:
        return shlex.join(container.definition.args)
    try:
        process = reach.kept_spec(home.root, container.id).process
    except EnclosError:
        return ""  # an engine's container whose spec is not kept, or is just going
    return shlex.join(process.args) if process else ""


def matching(containers: Iterable[Container], filters: Iterable[str]) -> list[Container]:
    """Those that match: any value of the same key, and all keys; raises `InvalidRequest`."""
    wanted: dict[str, list[str]] = {}
    for text in filters:
        key, equals, value = text.partition("=")
        if not equals or key not in _FILTERS:
            raise InvalidRequest(
                f"invalid filter {text[:80]!r}",
                hint=f"write KEY=VALUE with one of: {', '.join(_FILTERS)}",
            )
        if key == "status" and value not in _STATES:
            raise InvalidRequest(
                f"invalid status {value[:40]!r}", hint=f"use one of: {', '.join(_STATES)}"
            )
        wanted.setdefault(key, []).append(value)
    return [one for one in containers if all(_any(one, *pair) for pair in wanted.items())]


def _any(container: Container, key: str, values: list[str]) -> bool:
    return any(_matches(container, key, value) for value in values)


def _matches(container: Container, key: str, value: str) -> bool:
    definition = container.definition
    if key == "id":
        return container.id.startswith(value)
    if key == "name":
        return value in container.name
    if key == "status":
        return container.status == value
    if key == "exited":
        return container.status == "exited" and str(container.exit_status) == value
    if definition is None:
        return False
    if key == "ancestor":
        names = (definition.image, definition.image_digest, definition.image.rpartition(":")[0])
        return value in names
    name, equals, wanted = value.partition("=")
    return name in definition.labels and (not equals or definition.labels[name] == wanted)
