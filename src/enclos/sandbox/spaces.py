"""The namespaces of a container's stand-in, which engines look at and others join."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from enclos.errors import InvalidRequest, MachineFailed
from enclos.linux import namespaces
from enclos.network import tenants
from enclos.oci.linux import Namespace
from enclos.plan.guestspec import GuestPlan
from enclos.structs import dataclass

_KINDS: Final = ("network", "ipc", "uts", "cgroup", "pid")
"""What follows the spec; the mount namespace, and pid unless joined, are the stand-in's own."""


@dataclass(frozen=True, slots=True)
class Network:
    """The container's network namespace: where it is found, and whether others live in it."""

    path: str
    descriptor: int
    shared: bool


def network_of(guest: GuestPlan, standin_pid: int, opened: ExitStack) -> Network:
    """The stand-in's: the one that the spec names, or a new one that engines fill.

    Raises `MachineFailed` if it has been killed meanwhile, as a hook may do.
    """
    own = namespaces.path_of("network", standin_pid)
    try:
        identity = namespaces.identity_of(own)
        descriptor = namespaces.open_namespace(own)
    except (FileNotFoundError, ProcessLookupError) as error:
        raise MachineFailed(
            f"process {standin_pid}, which stands for the container on the host, has ended",
            hint="see whether a hook, or somebody on this host, has killed it; then try again",
        ) from error
    opened.callback(os.close, descriptor)
    shared = guest.network != "" and (
        tenants.is_hosts(identity) or any(tenants.others(identity, {standin_pid}))
    )
    return Network(guest.network or os.fspath(own), descriptor, shared)


def unshared(listed: Sequence[Namespace]) -> int:
    """Clone flags of the namespaces that are to be the stand-in's own."""
    own = {one.type for one in listed if not one.path and one.type in _KINDS}
    joined = {one.type for one in listed if one.path}
    return namespaces.flags_of(tuple(own | ({"pid"} - joined)))


def joined(listed: Sequence[Namespace], opened: ExitStack) -> tuple[tuple[int, int], ...]:
    """Descriptors of the namespaces it joins, each with its flag; raises `InvalidRequest`."""
    found: list[tuple[int, int]] = []
    for namespace in listed:
        if namespace.path and namespace.type in _KINDS:
            try:
                descriptor = namespaces.open_namespace(Path(namespace.path))
            except OSError as error:
                raise InvalidRequest(
                    f"config.json: linux.namespaces: {namespace.type}: cannot open "
                    f"{namespace.path[:200]}: error {error.errno}"
                ) from error
            opened.callback(os.close, descriptor)
            if not namespaces.is_kind(descriptor, namespace.type):
                raise InvalidRequest(
                    f"config.json: linux.namespaces: {namespace.path[:200]} is no namespace "
                    f"of type {namespace.type}",
                    hint="name a file of /proc/PID/ns, or one that `ip netns add` has made",
                )
            found.append((descriptor, namespaces.FLAGS[namespace.type]))
    return tuple(found)
