"""An image's configuration and docker's flags become a runtime specification. PURE.

Defaults are docker's: capabilities, masked paths, mounts, limits. What docker refuses is
refused here, by the name of its flag.
"""

from __future__ import annotations

import re
from typing import Final

from enclos.oci.linux import Linux, Namespace
from enclos.oci.types import Capabilities, Mount, Process, Root, Spec, User
from enclos.oci.validate import validate
from enclos.plan import capabilities as capability_sets
from enclos.plan import etcfiles, runmounts, runprocess, runresources, runsecurity, users
from enclos.plan.etcfiles import EtcFile
from enclos.plan.flagtext import assignments, bad, integer
from enclos.plan.imageconfig import ImageConfig
from enclos.plan.runmounts import MountRequest
from enclos.plan.runnetwork import Mode
from enclos.plan.runoptions import RunOptions, Surroundings
from enclos.plan.runsecurity import Security
from enclos.plan.users import ResolvedUser
from enclos.structs import dataclass

_VERSION: Final = "1.0.2"
_ID_CHARACTERS: Final = 12
_HOSTNAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?", re.ASCII)
_NAMESPACES: Final = ("mount", "network", "uts", "pid", "ipc", "cgroup")


@dataclass(frozen=True, slots=True)
class ContainerPlan:
    """The specification, and what has to be there before it can be used.

    `files` go below the container's directory; `mounts` say which volumes to make and which
    sources to look for. `labels` are the image's and the user's.
    """

    spec: Spec
    files: tuple[EtcFile, ...]
    mounts: tuple[MountRequest, ...]
    labels: dict[str, str]


def container_spec(image: ImageConfig, options: RunOptions, found: Surroundings) -> ContainerPlan:
    """The plan for one container; raises `InvalidRequest` or `NotFound` naming what is wrong."""
    hostname = options.hostname or found.hostname or found.container_id[:_ID_CHARACTERS]
    _check_hostname(options)
    requests = runmounts.requests(image, options, found)
    caps = capability_sets.choose(options.cap_add, options.cap_drop, privileged=options.privileged)
    security = runsecurity.security(options, capabilities=caps, architecture=found.architecture)
    spec = Spec(
        oci_version=_VERSION,
        process=_process(image, options, found, caps=caps, security=security, hostname=hostname),
        root=Root(path=found.rootfs, readonly=options.read_only),
        hostname=hostname,
        domainname=options.domainname,
        mounts=_mounts(options, found, requests),
        annotations=assignments("annotation", options.annotations),
        linux=_linux(options, found, security),
    )
    validate(spec)
    files = () if found.etc_home else etcfiles.etc_files(hostname, found)
    return ContainerPlan(spec, files, requests, _labels(image, options))


def _process(
    image: ImageConfig,
    options: RunOptions,
    found: Surroundings,
    *,
    caps: tuple[str, ...],
    security: Security,
    hostname: str,
) -> Process:
    user = users.resolve_user(
        options.user or image.user, found.passwd, found.group, extra_groups=options.groups
    )
    score = integer("oom-score-adj", options.oom_score_adj) if options.oom_score_adj else None
    return Process(
        terminal=options.tty,
        user=User(uid=user.uid, gid=user.gid, additional_gids=user.groups),
        args=runprocess.arguments(image, options),
        env=runprocess.environment(
            image, options, hostname=hostname, home=user.home, caller=found.caller_env
        ),
        cwd=runprocess.working_directory(image, options),
        capabilities=_capabilities(caps, user),
        rlimits=runresources.rlimits(options),
        no_new_privileges=security.no_new_privileges,
        oom_score_adj=score,
    )


def _capabilities(caps: tuple[str, ...], user: ResolvedUser) -> Capabilities:
    """Nobody but root holds any from the start; what they may gain is bounded by the same list."""
    held = caps if user.uid == 0 else ()
    return Capabilities(bounding=caps, effective=held, permitted=held)


def _linux(options: RunOptions, found: Surroundings, security: Security) -> Linux:
    return Linux(
        sysctl=assignments("sysctl", options.sysctls),
        resources=runresources.resources(options),
        namespaces=tuple(
            _namespace(kind, options)
            for kind in _NAMESPACES
            if kind != "network" or found.network is not Mode.HOST
        ),
        seccomp=security.seccomp,
        masked_paths=security.masked_paths,
        readonly_paths=security.readonly_paths,
    )


def _namespace(kind: str, options: RunOptions) -> Namespace:
    return Namespace(kind, options.network_namespace if kind == "network" else "")


def _mounts(
    options: RunOptions, found: Surroundings, requests: tuple[MountRequest, ...]
) -> tuple[Mount, ...]:
    """docker's own mounts, the runtime's files, then the user's, which may lie over the others."""
    targets = {request.target for request in requests}
    own = [mount for mount in _own_mounts(options) if not _is_within(mount, targets)]
    etc = found.etc_home or found.home
    own += etcfiles.etc_mounts(etc, targets, readonly=options.read_only)
    return (*own, *(runmounts.to_mount(request, found) for request in requests))


def _is_within(mount: Mount, targets: set[str]) -> bool:
    """Whether the user mounts something in its place, or over it."""
    place = mount.destination
    return any(place == target or place.startswith(f"{target}/") for target in targets)


def _own_mounts(options: RunOptions) -> tuple[Mount, ...]:
    safe = ("nosuid", "noexec", "nodev")
    write = () if options.privileged else ("ro",)
    shm = f"size={runresources.shm_bytes(options)}"
    pts = ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")
    return (
        Mount("/proc", "proc", "proc", safe),
        Mount("/dev", "tmpfs", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k")),
        Mount("/dev/pts", "devpts", "devpts", pts),
        Mount("/dev/shm", "tmpfs", "shm", (*safe, "mode=1777", shm)),
        Mount("/dev/mqueue", "mqueue", "mqueue", safe),
        Mount("/sys", "sysfs", "sysfs", (*safe, *write)),
        Mount("/sys/fs/cgroup", "cgroup", "cgroup", (*safe, "relatime", *write)),
    )


def _labels(image: ImageConfig, options: RunOptions) -> dict[str, str]:
    lines = [
        line.strip()
        for file in options.label_files
        for line in file.text.splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    ]
    asked = assignments("label", (*lines, *options.labels), bare=True)
    return dict(image.labels) | asked


def _check_hostname(options: RunOptions) -> None:
    if options.hostname and not _HOSTNAME.fullmatch(options.hostname):
        raise bad("hostname", options.hostname, "it is no host name of at most 64 characters")
