"""`start`: the shim of a group of containers, found or made; its address is the answer.

Runs in the bundle. Of a pod the first container's shim is everybody's: containerd calls `start`
for each, and gets the same address.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any, Final

from enclos import log
from enclos.config import load
from enclos.config.settings import Settings
from enclos.errors import Exists, Unsupported, WrongState
from enclos.ids import check_id
from enclos.linux import files
from enclos.oci.load import load_spec
from enclos.oci.types import Spec
from enclos.plan.grouping import sandbox_of
from enclos.sandbox import create, supervisor
from enclos.sandbox.hostgroup import Manager
from enclos.sandbox.newcontainer import NewContainer
from enclos.sandbox.place import Place, open_place
from enclos.shim import address, bundles, options, where
from enclos.shim.front import ADDRESS_FILE, Front
from enclos.shim.options import Options
from enclos.shim.parse import Invocation
from enclos.state.store import StateRoot
from enclos.wire.control import Channels

GROUP: Final = "io.containerd.runc.v2.group"
"""The annotation by which any containers are put together, whatever the runtime."""
_LOG: Final = "log"


def run(call: Invocation) -> int:
    """See the module."""
    bundle, name = Path.cwd(), call.texts["id"]
    logs = _open_log(bundle)
    log.configure(level=log.Level.WARNING, fd=logs)  # standard error is a part of the answer
    data = sys.stdin.buffer.read(options.MAX_BYTES)
    asked = options.parse(data, name=name, namespace=call.texts["namespace"])
    if bundles.is_of_pod(bundle):
        path = _begin_pod(call, bundle, asked=asked, logs=logs)
    else:
        spec = load_spec(bundles.spec_text(bundle))
        path = where.socket_path(call, _group(spec, name))
        if not address.answers(path):
            path = _begin(call, bundle, spec, asked=asked, path=path, logs=logs)
    sys.stdout.write(address.publish(bundle, path))
    return 0


def _begin_pod(call: Invocation, bundle: Path, *, asked: Options, logs: int) -> Path:
    """Make the shim of a pod that containerd will describe to its sandbox service."""
    from enclos.shim.podfront import PodFront  # few shims are one

    name = check_id(call.texts["id"])
    place = _place(call, asked, logs)
    path = where.socket_path(call, name)
    listener = address.claim(path)
    if listener is None:
        raise Exists(f"sandbox {name} already exists")
    try:
        rest = _rest(call, listener, path, logs)
        supervisor.fork_waiting(PodFront(place, name, bundle, **rest))
    except BaseException:
        address.withdraw(path, listener)
        raise
    return path


def _place(call: Invocation, asked: Options, logs: int) -> Place:
    settings = _settings(asked)
    log.configure(level=log.Level[settings.log_level.value.upper()], fd=logs)
    return open_place(settings, root=where.root(call).path)


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


def _group(spec: Spec, name: str) -> str:
    return spec.annotations.get(GROUP) or sandbox_of(spec.annotations, name).sandbox_id


def _begin(
    call: Invocation, bundle: Path, spec: Spec, *, asked: Options, path: Path, logs: int
) -> Path:
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
    listener = address.claim(path)
    if listener is None:
        return path  # another member was faster
    rest = _rest(call, listener, path, logs)
    try:
        create.prepare(place, new, plan, lambda prepared: Front(place, prepared, **rest))
    except BaseException:
        address.withdraw(path, listener)
        raise
    return path


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
        text = files.read_bounded(root.sandbox(sandbox_id) / ADDRESS_FILE, 1024)
    except OSError as error:
        raise WrongState(
            f"the pod's machine {sandbox_id[:12]} is not running here",
            hint="give the other container, or the whole pod, this runtime, and start it first",
        ) from error
    return Path(os.fsdecode(text))


def _open_log(bundle: Path) -> int:
    """containerd's end of our log; for reading as well, so that it may go and come back."""
    try:
        return os.open(bundle / _LOG, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return -1  # not every client has one
