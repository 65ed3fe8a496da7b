"""Whose namespaces a container joins, and what that means for its machine. PURE.

A namespace path of another container of ours means that container's virtual machine: no two
kernels share a namespace. Shared in the guest is exactly what was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from enclos.errors import InvalidRequest
from enclos.plan.grouping import Group
from enclos.structs import dataclass
from enclos.wire.places import CONTAINERS_PATH, INIT_LINK

FILES: Final[Mapping[str, str]] = {"pid": "pid", "network": "net", "ipc": "ipc", "uts": "uts"}
"""The kinds that can be joined, with their names in /proc/PID/ns."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A container of ours whose namespace was named, and its sandbox."""

    container_id: str
    sandbox_id: str


def group_with(group: Group, owners: Mapping[str, Owner], container_id: str) -> Group:
    """The sandbox of a container that joins `owners`, by kind; raises `InvalidRequest`.

    `group` is what the annotations say: with them, or among the owners, there must be one
    machine only.
    """
    machines = {owner.sandbox_id: kind for kind, owner in owners.items()}
    if not machines:
        return group
    if not group.own or group.named:
        machines.setdefault(group.sandbox_id, "its pod")
    if len(machines) > 1:
        listed = ", ".join(f"{kind}: {machine[:12]}" for machine, kind in machines.items())
        raise InvalidRequest(
            f"config.json: linux.namespaces: they are in different virtual machines ({listed})",
            hint="join containers of one pod, or of one container's machine, only",
        )
    sandbox_id = next(iter(machines))
    return Group(sandbox_id, own=sandbox_id == container_id, named=group.named)


def guest_paths(owners: Mapping[str, Owner]) -> dict[str, str]:
    """Where the guest finds the namespaces that are joined, by kind."""
    return {
        kind: f"{CONTAINERS_PATH}/{owner.container_id}/{INIT_LINK}/ns/{FILES[kind]}"
        for kind, owner in owners.items()
    }
