"""Which containers share a virtual machine: the pod's, by their annotations. PURE.

containerd's CRI and CRI-O say which sandbox a container belongs to; podman writes the id of the
pod's infra container, which is the sandbox. Everything else gets a machine of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from enclos.errors import InvalidRequest
from enclos.ids import check_id
from enclos.structs import dataclass

SANDBOX_ANNOTATIONS: Final = (
    "io.kubernetes.cri.sandbox-id",
    "io.kubernetes.cri-o.SandboxID",
)


@dataclass(frozen=True, slots=True)
class Group:
    """The sandbox a container belongs to; `own` if it is the one that makes it.

    `named`: by an engine's annotation, so others of a pod may come.
    """

    sandbox_id: str
    own: bool
    named: bool = False


def sandbox_of(annotations: Mapping[str, str], container_id: str) -> Group:
    """The container's sandbox; raises `InvalidRequest` for an impossible id."""
    named = [annotations[key] for key in SANDBOX_ANNOTATIONS if annotations.get(key)]
    if len(set(named)) > 1:
        raise InvalidRequest(
            f"config.json: annotations: two different sandboxes, {named[0]} and {named[1]}",
            hint=f"keep one of {' and '.join(SANDBOX_ANNOTATIONS)}",
        )
    sandbox_id = check_id(named[0]) if named else container_id
    return Group(sandbox_id, sandbox_id == container_id, bool(named))
