"""Where a shim works: the state root of its containerd's namespace, its socket, its settings.

The same id may exist in several namespaces and in several containerds of one host, so each pair
has a state root of its own below the configured one. `enclos-oci --root` reads it. Little is
imported before it is needed, as in all that `delete` runs when there is nothing to do.
"""

from __future__ import annotations

import hashlib
import os

from enclos.config import load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Final

    from enclos.shim.parse import Invocation
    from enclos.state.store import StateRoot

GROUP: Final = "io.containerd.runc.v2.group"
"""The annotation by which any containers are put together, whatever the runtime."""
SPEC: Final = "config.json"
ROOTFS: Final = "rootfs"
ADDRESS: Final = "address"
"""In a bundle; by the last containerd finds the shim again after a restart."""
MAX_PATH_BYTES: Final = 106
"""Of a unix socket's address, as Go has it."""
_DIGITS: Final = 40


def root(call: Invocation) -> StateRoot:
    """The state root of the caller's namespace; raises `InvalidRequest` for an impossible one."""
    from pathlib import Path

    from enclos.ids import check_id
    from enclos.state.store import StateRoot

    check_id(call.texts["namespace"])
    return StateRoot(Path(directory(call)))


def directory(call: Invocation) -> str:
    """The same as a path, of which nobody has looked whether it is a possible one."""
    address = hashlib.sha256(call.texts["address"].encode()).hexdigest()[:12]
    return f"{_base()}/shim/{address}-{call.texts['namespace']}"


def group(annotations: Mapping[str, str], name: str) -> str:
    """The group of containers whose shim serves the container `name`, too; raises
    `InvalidRequest`."""
    from enclos.plan.grouping import sandbox_of

    return annotations.get(GROUP) or sandbox_of(annotations, name).sandbox_id


def socket_path(call: Invocation, of: str) -> Path:
    """Where the shim of the group `of` listens; raises `InvalidRequest` if that is long."""
    from pathlib import Path

    from enclos.errors import InvalidRequest

    name = f"{call.texts['address']}/{call.texts['namespace']}/{of}"
    path = f"{_base()}/s/{hashlib.sha256(name.encode()).hexdigest()[:_DIGITS]}"
    if len(os.fsencode(path)) > MAX_PATH_BYTES:
        raise InvalidRequest(
            f"the socket {path} has a path that is too long", hint="choose a shorter state_root"
        )
    return Path(path)


def _base() -> str:
    return os.path.abspath(load.state_root())
