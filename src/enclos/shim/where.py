"""Where a shim works: the state root of its containerd's namespace, its socket, its settings.

The same id may exist in several namespaces and in several containerds of one host, so each pair
has a state root of its own below the configured one. `enclos-oci --root` reads it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from enclos.config import load
from enclos.errors import InvalidRequest
from enclos.ids import check_id
from enclos.shim.parse import Invocation
from enclos.state.store import StateRoot

MAX_PATH_BYTES: Final = 106
"""Of a unix socket's address, as Go has it."""
_DIGITS: Final = 40


def root(call: Invocation) -> StateRoot:
    """The state root of the caller's namespace; raises `InvalidRequest` for an impossible one."""
    address = hashlib.sha256(call.texts["address"].encode()).hexdigest()[:12]
    namespace = check_id(call.texts["namespace"])
    return StateRoot(_base() / "shim" / f"{address}-{namespace}")


def socket_path(call: Invocation, group: str) -> Path:
    """Where the shim of a group of containers listens; raises `InvalidRequest` if that is long."""
    name = f"{call.texts['address']}/{call.texts['namespace']}/{group}"
    path = _base() / "s" / hashlib.sha256(name.encode()).hexdigest()[:_DIGITS]
    if len(str(path).encode()) > MAX_PATH_BYTES:
        raise InvalidRequest(
            f"the socket {path} has a path that is too long", hint="choose a shorter state_root"
        )
    return path


def _base() -> Path:
    return Path(load.state_root()).absolute()
