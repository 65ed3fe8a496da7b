"""Makes the shim of a container that comes first: takes its names and boots its machine.

Imported by `start` alone, and only where no shim answers yet. The shim itself, its service and its
messages are imported in its own process, while QEMU starts.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from enclos import log
from enclos.config import load
from enclos.config.settings import Settings
from enclos.errors import Exists, Unsupported, WrongState
from enclos.ids import check_id
from enclos.linux import files
from enclos.oci.load import load_spec
from enclos.oci.types import Spec
from enclos.sandbox import create, supervisor
from enclos.sandbox.hostgroup import Manager
from enclos.sandbox.newcontainer import NewContainer, Prepared
from enclos.sandbox.place import Place, open_place
from enclos.shim import address, bundles, where
from enclos.shim.asked import Options
from enclos.shim.parse import Invocation
from enclos.state.store import StateRoot
from enclos.wire.control import Channels

if TYPE_CHECKING:
    from enclos.shim.front import Front
    from enclos.shim.podfront import PodFront

_MAX_OPTIONS_BYTES: Final = 4 << 20


def run(call: Invocation, bundle: Path, *, logs: int) -> Path:
    """The socket of the new shim, or of one that another made meanwhile.

    The container's options are on standard input, its specification is in `bundle`, and `logs` is
    where its shim logs, or -1.
    """
    asked = _asked(call, sys.stdin.buffer.read(_MAX_OPTIONS_BYTES))
    if bundles.is_of_pod(bundle):
        return _begin_pod(call, bundle, asked=asked, logs=logs)
    return _begin(call, bundle, load_spec(bundles.spec_text(bundle)), asked=asked, logs=logs)


def _asked(call: Invocation, data: bytes) -> Options:
    if not data:
        return Options()
    from enclos.shim import options  # late: it wants protobuf, and ctr gives none

    return options.parse(data, name=call.texts["id"], namespace=call.texts["namespace"])


def _begin_pod(call: Invocation, bundle: Path, *, asked: Options, logs: int) -> Path:
    """Make the shim of a pod that containerd will describe to its sandbox service."""
    name = check_id(call.texts["id"])
    place = _place(call, asked, logs)
    path = where.socket_path(call, name)
    listener = address.claim(path)
    if listener is None:
        raise Exists(f"sandbox {name} already exists")
    rest = _rest(call, listener, path, logs)

    def front() -> PodFront:
        from enclos.shim.podfront import PodFront

        return PodFront(place, name, bundle, **rest)

    try:
        supervisor.fork_waiting(front, descriptors=_brought(listener, logs))
    except BaseException:
        address.withdraw(path, listener)
        raise
    return path


def _begin(call: Invocation, bundle: Path, spec: Spec, *, asked: Options, logs: int) -> Path:
    """Make the shim, unless the container's namespaces say that it belongs to another's."""
    place = _place(call, asked, logs)
    new = NewContainer(
        id=call.texts["id"],
        bundle=bundle,
        spec=spec,
        channels=Channels(),
        owner="root",
        manager=Manager.SYSTEMD if asked.systemd_cgroup else bundles.manager(spec),
    )
    plan = create.plan_of(place, new)
    if plan.machine is None:
        return _of_sandbox(place.root, plan.group.sandbox_id)
    path = where.socket_path(call, where.group(spec.annotations, new.id))
    listener = address.claim(path)
    if listener is None:
        return path  # another member was faster
    front = _front(place, _rest(call, listener, path, logs))
    try:
        create.prepare(place, new, plan, front, descriptors=_brought(listener, logs))
    except BaseException:
        address.withdraw(path, listener)
        raise
    return path


def _front(place: Place, rest: dict[str, Any]) -> Callable[[Prepared], Front]:
    def make(prepared: Prepared) -> Front:
        from enclos.shim.front import Front

        return Front(place, prepared, **rest)

    return make


def _rest(call: Invocation, listener: socket.socket, path: Path, logs: int) -> dict[str, Any]:
    """What every front end is made with."""
    return {
        "listener": listener,
        "path": path,
        "namespace": call.texts["namespace"],
        "events": load.variable("TTRPC_ADDRESS"),
        "logs": logs,
        "debug": "debug" in call.switches,
    }


def _brought(listener: socket.socket, logs: int) -> tuple[int, ...]:
    """The descriptors of a front end."""
    return (listener.fileno(), logs) if logs >= 0 else (listener.fileno(),)


def _place(call: Invocation, asked: Options, logs: int) -> Place:
    settings = _settings(asked)
    log.configure(level=log.Level[settings.log_level.value.upper()], fd=logs)
    return open_place(settings, root=where.root(call).path)


def _settings(asked: Options) -> Settings:
    """The settings, with those of the file that the runtime's options name."""
    if asked.config_body:
        raise Unsupported(
            "runtime options other than ConfigPath are not supported",
            hint="write the settings to a file, and give its path as ConfigPath",
        )
    found = load.settings()
    return load.settings_from(asked.config_path, found) if asked.config_path else found


def _of_sandbox(root: StateRoot, sandbox_id: str) -> Path:
    """The shim of a sandbox that is there; raises `WrongState` where there is none."""
    try:
        text = files.read_bounded(root.sandbox(sandbox_id) / address.SANDBOX_FILE, 1024)
    except OSError as error:
        raise WrongState(
            f"the pod's machine {sandbox_id[:12]} is not running here",
            hint="give the other container, or the whole pod, this runtime, and start it first",
        ) from error
    return Path(os.fsdecode(text))
