"""Everything about a container or an image as docker's `inspect` shows it, and more.

`Sandbox` is ours: the machine the container runs in, and whether it is a boundary.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any, Final

from enclos.cli import belongings, memberships, portlist
from enclos.cli.home import Home
from enclos.cli.lookup import Container
from enclos.errors import EnclosError
from enclos.oci.types import Process, Spec
from enclos.sandbox import ask, reach
from enclos.state.definitions import Definition, Network
from enclos.storage import fetch, layers
from enclos.storage.rootfs import LayeredRoot
from enclos.storage.store import Image, ImageStore

ZERO_TIME: Final = "0001-01-01T00:00:00Z"
_NOTES: Final = {
    "kvm": "hardware virtualization (KVM) isolates this machine",
    "tcg": "this machine is emulated, which is no isolation boundary",
}


def container(home: Home, found: Container) -> dict[str, Any]:
    """One container."""
    definition, record = found.definition, found.record
    spec = _spec(home, found)
    process = spec.process if spec and spec.process else Process()
    return {
        "Id": found.id,
        "Created": found.created,
        "Path": process.args[0] if process.args else "",
        "Args": list(process.args[1:]),
        "State": _state(found),
        "Image": definition.image_digest if definition else "",
        "Name": f"/{found.name}",
        "LogPath": _log_path(home, definition),
        "RestartCount": 0,
        "Driver": "overlay" if definition and definition.rootfs_kind == belongings.IMAGE else "",
        "Platform": "linux",
        "ExecIDs": _exec_ids(home, found),
        "GraphDriver": _graph_driver(home, definition),
        "HostConfig": _host_config(definition, spec),
        "Mounts": _mounts(definition),
        "NetworkSettings": portlist.settings(
            definition.network if definition else Network(),
            list(memberships.members(home, definition)) if definition else [],
            running=found.running,
        ),
        "Config": _config(definition, spec, process),
        "Bundle": record.bundle if record else "",
        "Rootfs": record.rootfs if record else "",
        "Sandbox": _sandbox(home, found),
    }


def _spec(home: Home, found: Container) -> Spec | None:
    try:
        if found.definition is not None:
            return belongings.spec_of(home, found.id)
        return reach.kept_spec(home.root, found.id)
    except EnclosError:
        return None  # what else is known is still worth showing


def _state(found: Container) -> dict[str, Any]:
    record = found.record
    return {
        "Status": found.status,
        "Running": found.running,
        "Paused": found.status == "paused",
        "Restarting": False,
        "OOMKilled": bool(record and found.exit_status == 137 and "memory" in record.exit_reason),
        "Dead": False,
        "Pid": record.pid if record and found.running else 0,
        "ExitCode": found.exit_status,
        "Error": record.exit_reason if record and found.status == "exited" else "",
        "StartedAt": (record.started_at if record else "") or ZERO_TIME,
        "FinishedAt": (record.finished_at if record else "") or ZERO_TIME,
    }


def _log_path(home: Home, definition: Definition | None) -> str:
    path = belongings.log_of(home, definition.id) if definition else None
    return os.fspath(path) if path and path.exists() else ""


def _exec_ids(home: Home, found: Container) -> list[str]:
    from enclos.state import records

    return [one.exec_id for one in records.all_execs(home.root, found.id)]


def _graph_driver(home: Home, definition: Definition | None) -> dict[str, Any]:
    root = belongings.root_of(home, definition) if definition else None
    if not isinstance(root, LayeredRoot):
        return {"Name": "", "Data": {}}
    data = {
        "LowerDir": ":".join(map(os.fspath, root.layers)),
        "UpperDir": os.fspath(root.upper),
        "WorkDir": os.fspath(root.work),
    }
    return {"Name": "overlay", "Data": data}


def _host_config(definition: Definition | None, spec: Spec | None) -> dict[str, Any]:
    resources = spec.linux.resources if spec and spec.linux else None
    memory, cpu = resources and resources.memory, resources and resources.cpu
    quota, period = (cpu.quota or 0, cpu.period or 100_000) if cpu else (0, 100_000)
    pids, io = resources and resources.pids, resources and resources.block_io
    return {
        "AutoRemove": definition.auto_remove if definition else False,
        "Binds": [
            ":".join(filter(None, (one.source, one.target, ",".join(one.options))))
            for one in (definition.mounts if definition else ())
            if one.kind != "tmpfs"
        ],
        "CapAdd": list(definition.cap_add) if definition else [],
        "CapDrop": list(definition.cap_drop) if definition else [],
        "CpuShares": (cpu.shares or 0) if cpu else 0,
        "CpusetCpus": cpu.cpus if cpu else "",
        "BlkioWeight": (io.weight or 0) if io else 0,
        "CpuPeriod": (cpu.period or 0) if cpu else 0,
        "CpuQuota": (cpu.quota or 0) if cpu else 0,
        "CpusetMems": cpu.mems if cpu else "",
        "Memory": max(0, memory.limit or 0) if memory else 0,
        "MemorySwap": (memory.swap or 0) if memory else 0,
        "NanoCpus": max(0, int(quota * 10**9 / period)),
        **portlist.host_config(definition.network if definition else Network()),
        "PidsLimit": (pids.limit or 0) if pids else 0,
        "ReadonlyRootfs": bool(spec and spec.root and spec.root.readonly),
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
    }


def _mounts(definition: Definition | None) -> list[dict[str, Any]]:
    return [
        {
            "Type": one.kind,
            "Source": one.source,
            "Destination": one.target,
            "Mode": ",".join(one.options),
            "RW": "ro" not in one.options,
        }
        for one in (definition.mounts if definition else ())
    ]


def _config(definition: Definition | None, spec: Spec | None, process: Process) -> dict[str, Any]:
    annotations = dict(spec.annotations) if spec else {}
    common = {
        "Hostname": spec.hostname if spec else "",
        "Env": list(process.env),
        "WorkingDir": process.cwd,
        "Tty": process.terminal,
        "Annotations": annotations,
    }
    if definition is None:
        return common | {"Cmd": list(process.args), "Image": "", "Labels": {}}
    return common | {
        "User": definition.user,
        "OpenStdin": definition.interactive,
        "Cmd": list(definition.command),
        "Entrypoint": list(definition.entrypoint),
        "Image": definition.image or definition.rootfs,
        "Labels": definition.labels,
        "StopSignal": definition.stop_signal or "SIGTERM",
        "StopTimeout": definition.stop_timeout_s,
    }


def _sandbox(home: Home, found: Container) -> dict[str, Any] | None:
    """The machine, as its supervisor tells; None for a container without one."""
    if found.record is None or not found.running:
        return None
    try:
        status = ask.status(home.root, found.id)
    except EnclosError:
        return None  # it has just ended
    return {
        "Id": status.id,
        "Accelerator": status.accelerator,
        "Isolation": _NOTES.get(status.accelerator, ""),
        "Template": status.template,
        "MemoryBytes": status.memory_bytes,
        "Vcpus": status.vcpus,
        "Kernel": status.kernel,
        "PhasesMs": status.phases,
        "Processes": status.pids,
    }


def image(store: ImageStore, found: Image) -> dict[str, Any]:
    """One image."""
    config = asdict(fetch.config_of(store, found))
    named = found.name.partition("@")
    return {
        "Id": found.config_digest,
        "RepoTags": [] if named[1] else [found.name],
        "RepoDigests": [f"{named[0].rpartition(':')[0] or named[0]}@{found.digest}"],
        "Created": found.created,
        "Architecture": found.architecture,
        "Os": config["os"],
        "Size": layers.unpacked_bytes(store, found),
        "Config": {
            "User": config["user"],
            "Env": list(config["env"]),
            "Entrypoint": list(config["entrypoint"]),
            "Cmd": list(config["cmd"]),
            "WorkingDir": config["working_dir"],
            "Volumes": {path: {} for path in config["volumes"]},
            "ExposedPorts": {port: {} for port in config["exposed_ports"]},
            "Labels": dict(config["labels"]),
            "StopSignal": config["stop_signal"],
        },
        "RootFS": {"Type": "layers", "Layers": [layer.diff_id for layer in found.layers]},
    }
