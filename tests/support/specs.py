"""Specs as engines write them, as JSON values, for tests to change."""

from __future__ import annotations

import copy
from typing import Any, Final

from enclos.oci import default
from enclos.oci.codec import encode

_NAME: Final = "f" * 64
_SETS: Final = ("bounding", "effective", "permitted")
_PODMAN_CAPABILITIES: Final = (
    "CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_FSETID CAP_KILL CAP_NET_BIND_SERVICE CAP_SETFCAP "
    "CAP_SETGID CAP_SETPCAP CAP_SETUID CAP_SYS_CHROOT"
).split()


def minimal() -> dict[str, Any]:
    """The least that makes sense."""
    return {
        "ociVersion": "1.0.2",
        "process": {"user": {"uid": 0, "gid": 0}, "args": ["true"], "cwd": "/"},
        "root": {"path": "rootfs"},
    }


def runc() -> dict[str, Any]:
    """What `runc spec` writes, near enough."""
    spec: dict[str, Any] = encode(default.default_spec())
    return spec


def podman() -> dict[str, Any]:
    """What podman 4.3 wrote for a rootful container with a volume (clients.md, F.1)."""
    spec = copy.deepcopy(runc())
    run = f"/run/containers/storage/overlay-containers/{_NAME}/userdata"
    spec["ociVersion"] = "1.0.2-dev"
    spec["root"] = {"path": f"/var/lib/containers/storage/overlay/{_NAME}/merged"}
    spec["process"] |= {
        "terminal": False,
        "env": ["PATH=/usr/bin", "TERM=xterm", "container=podman", "HOSTNAME=c1"],
        "capabilities": {name: list(_PODMAN_CAPABILITIES) for name in _SETS},
        "rlimits": [
            {"type": "RLIMIT_NOFILE", "hard": 1048576, "soft": 1048576},
            {"type": "RLIMIT_NPROC", "hard": 4194304, "soft": 4194304},
        ],
        "oomScoreAdj": 0,
    }
    binds = {"/etc/hosts": "hosts", "/etc/resolv.conf": "resolv.conf", "/dev/shm": "shm"}
    spec["mounts"] += [
        {
            "destination": to,
            "type": "bind",
            "source": f"{run}/{of}",
            "options": ["bind", "rprivate"],
        }
        for to, of in binds.items()
    ]
    spec["mounts"].append(
        {"destination": "/data", "type": "bind", "source": "/srv/data",
         "options": ["rbind", "rprivate", "ro"]}
    )  # fmt: skip
    spec["linux"] |= {
        "namespaces": [
            {"type": "pid"}, {"type": "network", "path": "/run/netns/netns-1"}, {"type": "ipc"},
            {"type": "uts"}, {"type": "mount"}, {"type": "cgroup"},
        ],
        "cgroupsPath": f"machine.slice:libpod:{_NAME}",
        "sysctl": {"net.ipv4.ping_group_range": "0 0"},
        "resources": {
            "devices": [{"allow": False, "access": "rwm"}],
            "memory": {"limit": 536870912, "swap": 1073741824},
            "cpu": {"quota": 150000, "period": 100000, "cpus": "0-1"},
            "pids": {"limit": 2048},
            "blockIO": {"weight": 500},
        },
        "seccomp": {
            "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38,
            "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
            "syscalls": [
                {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW"},
                {"names": ["clone"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "args": [
                    {"index": 0, "value": 2114060288, "op": "SCMP_CMP_MASKED_EQ"}]},
            ],
        },
    }  # fmt: skip
    spec["annotations"] = {"io.container.manager": "libpod", "run.oci.handler": "krun"}
    spec["hooks"] = {"prestart": [{"path": "/usr/bin/hook", "args": ["hook", "prestart"]}]}
    return spec


def put(document: Any, path: str, value: Any) -> Any:
    """The document with `value` at `path`, such as `process.args.0`; missing objects are made."""
    changed = copy.deepcopy(document)
    place = changed
    *parents, last = path.split(".")
    for part in parents:
        place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
    if isinstance(place, list):
        place[int(last)] = value
    else:
        place[last] = value
    return changed
