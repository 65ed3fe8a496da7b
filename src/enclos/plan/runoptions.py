"""What a user asked for with `enclos run`, as it was written. PURE.

Values stay text here: `container` reads them and says what is wrong with them. `None` stands
for a flag that was not given where that differs from an empty value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from enclos.plan.runnetwork import Mode
from enclos.structs import dataclass


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file that a flag named, read by the front end."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class RunOptions:
    """docker's flags that bear on the container's specification.

    `volumes`, `mounts`, `tmpfs`, `ulimits`, `sysctls` and so on are repeated flags, each value
    as given. `seccomp_profile` is the text of the file that `--security-opt seccomp=FILE`
    names. `network_namespace` is a path to join, or empty for a namespace of its own.
    """

    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    env: tuple[str, ...] = ()
    env_files: tuple[TextFile, ...] = ()
    labels: tuple[str, ...] = ()
    label_files: tuple[TextFile, ...] = ()
    annotations: tuple[str, ...] = ()
    workdir: str = ""
    user: str = ""
    groups: tuple[str, ...] = ()
    hostname: str = ""
    domainname: str = ""
    tty: bool = False
    read_only: bool = False
    privileged: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    security_opts: tuple[str, ...] = ()
    seccomp_profile: str = ""
    volumes: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()
    tmpfs: tuple[str, ...] = ()
    shm_size: str = ""
    memory: str = ""
    memory_swap: str = ""
    memory_reservation: str = ""
    cpus: str = ""
    cpu_shares: str = ""
    cpu_period: str = ""
    cpu_quota: str = ""
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    blkio_weight: str = ""
    pids_limit: str = ""
    oom_score_adj: str = ""
    ulimits: tuple[str, ...] = ()
    sysctls: tuple[str, ...] = ()
    network_namespace: str = ""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What was found around the container before it was planned.

    `home` is its directory below the data root, `rootfs` where its root file system will be
    found, `volumes` the parent of named volumes. `passwd` and `group` are the texts of the
    image's files. `caller_env` serves variables given by name only, `directory` relative paths.
    `architecture` is the guest's, in Go's words. `network` is the one the container will be in;
    `hosts` are lines for its hosts file, which begins with `hosts_base` if not empty; `hostname`
    is its name if none is asked for. With `etc_home` the files of /etc are those of another
    container, which are there.
    """

    container_id: str
    home: str
    rootfs: str
    volumes: str
    directory: str = "/"
    caller_env: Mapping[str, str] = field(default_factory=dict[str, str])
    passwd: str = ""
    group: str = ""
    resolv_conf: str = ""
    network: Mode = Mode.NONE
    hosts: tuple[str, ...] = ()
    hosts_base: str = ""
    hostname: str = ""
    etc_home: str = ""
    architecture: str = "amd64"
