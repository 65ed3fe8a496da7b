"""The namespaces of the guest's spec: new, or of the machine's other containers. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from enclos.oci.complaint import refusal
from enclos.oci.linux import Namespace
from enclos.wire.places import NETWORKS_PATH

_ALWAYS_PRIVATE: Final = ("mount", "cgroup")


def translate(
    namespaces: tuple[Namespace, ...], joins: Mapping[str, str], container_id: str
) -> tuple[Namespace, ...]:
    """The guest's namespaces. A missing one is the guest's own, but for mount and cgroup:
    nobody shares the agent's mounts, and a container's cgroup is the root of what it sees.

    A network is the agent's to make, as interfaces arrive before the container and may outlive
    it; within a user namespace crun makes it, which then owns it.
    """
    there = {namespace.type for namespace in namespaces}
    network = "" if owns_network(namespaces) else f"{NETWORKS_PATH}/of-{container_id}"
    known = {"network": network, **joins}
    out = [_namespace(namespace, known) for namespace in namespaces]
    out.extend(Namespace(kind) for kind in _ALWAYS_PRIVATE if kind not in there)
    if "network" not in there:
        out.append(Namespace("network", network))
    return tuple(out)


def owns_network(namespaces: tuple[Namespace, ...]) -> bool:
    """Whether a new network belongs to a user namespace of the container's own."""
    kinds = {namespace.type: namespace.path for namespace in namespaces}
    return "user" in kinds and kinds.get("network") == ""


def _namespace(namespace: Namespace, joins: Mapping[str, str]) -> Namespace:
    if namespace.type == "network" or (namespace.path and namespace.type in joins):
        return replace(namespace, path=joins[namespace.type])
    if not namespace.path:
        return namespace
    raise refusal(
        f"linux.namespaces: {namespace.type}",
        f"{namespace.path[:200]} is no namespace of a container in this virtual machine",
        "give the other container, or the whole pod, this runtime",
    )
