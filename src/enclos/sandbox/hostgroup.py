"""A container's control group on the host: made before anything is put into it, removed last.

The first container's holds the whole machine (decision 16), a later one's its stand-ins. The
path is in the container's record and, before there is one, in the container's own ledger.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from typing import Final

from enclos import log
from enclos.errors import EnclosError, HostUnfit, InvalidRequest, WrongState
from enclos.linux.cgroup import group, layout
from enclos.linux.cgroup.group import Group
from enclos.linux.cgroup.layout import Mode
from enclos.oci.complaint import refusal
from enclos.oci.rules_resources import cpu_list
from enclos.oci.types import Spec
from enclos.plan import hostgroup
from enclos.plan.guestresources import HostLimits
from enclos.plan.hostgroup import Control, Room
from enclos.sandbox import release
from enclos.state import ledger
from enclos.state.store import StateRoot

_WHERE: Final = "linux.resources"


class Manager(StrEnum):
    """How `linux.cgroupsPath` is written; `disabled`: no control group is touched."""

    CGROUPFS = "cgroupfs"
    SYSTEMD = "systemd"
    DISABLED = "disabled"


def make(
    root: StateRoot, spec: Spec, container_id: str, *, manager: Manager, undo: ExitStack
) -> str:
    """Make the container's group; its path, empty without one. `undo` removes it.

    A host on which no group can be made runs containers without one. Raises `WrongState` for a
    group with processes in it, `InvalidRequest` for a path that cannot be one.
    """
    if manager is Manager.DISABLED:
        return ""
    asked = spec.linux.cgroups_path if spec.linux is not None else ""
    path = layout.relative(asked, container_id, systemd=manager is Manager.SYSTEMD)
    host = layout.detect()
    found = group.find(host, path)
    others = group.processes(found)
    if others:
        raise WrongState(
            f"container's cgroup is not empty: {len(others)} process(es) found in {path}",
            hint="give the container a linux.cgroupsPath of its own",
        )
    with ExitStack() as failed:
        held = ledger.of_container(root.container(container_id))
        entry = held.record(release.CGROUP, path=path)
        failed.callback(release.cgroup, {"path": path})
        group.remove_if_empty(found)  # of a container that has stopped: its limits are not ours
        try:
            group.create(host, path)
        except HostUnfit as error:
            log.warning("no control group on the host", container=container_id, error=error)
            return ""
        held.record(release.CGROUP, path=path, identity=group.identity(found))
        held.clear(entry)
        undo.push(failed.pop_all())
    return path


def limit(path: str, limits: HostLimits, space: Room) -> None:
    """Have the group at `path` enforce the limits.

    Raises `InvalidRequest` for what only the host could enforce, and cannot; where the guest
    enforces the same, a log line says what is missing.
    """
    host = layout.detect()
    wanted = hostgroup.controls(limits, space, unified=host.mode is Mode.UNIFIED)
    if limits.cpus:
        check_online(limits.cpus)
    found = group.find(host, path) if path else None
    for control in wanted:
        _write(found, control)


def check_online(cpus: str) -> None:
    """Raises `InvalidRequest` for a list of CPUs of which the host has none."""
    online = os.sched_getaffinity(0)
    if not cpu_list(cpus) & online:
        wrong = f"none of {cpus} is online here"
        raise refusal(f"{_WHERE}.cpu.cpus", wrong, f"this host has {sorted(online)}")


def _write(found: Group | None, control: Control) -> None:
    member = f"{_WHERE}.{control.member}"
    try:
        if found is None:
            raise HostUnfit(
                "the container has no control group on the host", hint="see linux.cgroupsPath"
            )
        file, value = _chosen(found, control)
        group.write(found, control.controller, file=file, value=value)
    except EnclosError as error:
        if control.needed:
            raise InvalidRequest(f"{member}: {error.message}", hint=error.hint) from error
        log.warning("not bounded on the host as well", member=member, error=error)


def _chosen(found: Group, control: Control) -> tuple[str, str]:
    """File and value; the other file only where the first is missing and it is there."""
    directory, other = found.directory(control.controller), control.instead
    if directory is None or other is None or (directory / control.file).exists():
        return control.file, control.value
    return other if (directory / other[0]).exists() else (control.file, control.value)


@contextmanager
def entrance(path: str) -> Iterator[Sequence[int]]:
    """Descriptors by which children enter the group at `path`; none for an empty path."""
    if not path:
        yield ()
        return
    try:
        opened = group.open_entrance(group.find(layout.detect(), path))
    except OSError as error:
        raise HostUnfit(
            f"the control group {path} is gone: {error}", hint="create the container again"
        ) from error
    try:
        yield opened
    finally:
        for descriptor in opened:
            os.close(descriptor)
