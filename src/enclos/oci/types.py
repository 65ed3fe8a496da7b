"""Types of the runtime specification 1.3: config.json as frozen dataclasses.

They hold what was written; whether it makes sense is `validate`'s to say. Every class has an
`extra` with the members it does not declare. Sections of other platforms are in the spec's.
"""

from __future__ import annotations

from dataclasses import field

from enclos.oci.codec import I32, I64, U32, U64, Extensible
from enclos.oci.linux import IdMapping, Linux
from enclos.structs import dataclass


@dataclass(frozen=True, slots=True)
class ConsoleSize(Extensible):
    """First size of a terminal, in characters."""

    height: U32 = 0
    width: U32 = 0


@dataclass(frozen=True, slots=True)
class User(Extensible):
    """Whom the process runs as."""

    uid: U32 = 0
    gid: U32 = 0
    umask: U32 | None = None
    additional_gids: tuple[U32, ...] = ()


@dataclass(frozen=True, slots=True)
class Capabilities(Extensible):
    """The five sets of capabilities, by name."""

    bounding: tuple[str, ...] = ()
    effective: tuple[str, ...] = ()
    inheritable: tuple[str, ...] = ()
    permitted: tuple[str, ...] = ()
    ambient: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rlimit(Extensible):
    """A limit by its name, such as RLIMIT_NOFILE."""

    type: str = ""
    hard: U64 = 0
    soft: U64 = 0


@dataclass(frozen=True, slots=True)
class Scheduler(Extensible):
    """Attributes of sched_setattr(2)."""

    policy: str = ""
    nice: I32 | None = None
    priority: I32 | None = None
    flags: tuple[str, ...] = ()
    runtime: U64 | None = None
    deadline: U64 | None = None
    period: U64 | None = None


@dataclass(frozen=True, slots=True)
class IoPriority(Extensible):
    """Class and level of ioprio_set(2)."""

    class_: str = ""
    priority: I32 = 0


@dataclass(frozen=True, slots=True)
class CpuAffinity(Extensible):
    """On which of the host's CPUs `exec` starts, and where the process stays."""

    initial: str = ""
    final: str = ""


@dataclass(frozen=True, slots=True)
class Process(Extensible):
    """A program with everything it starts with."""

    terminal: bool = False
    console_size: ConsoleSize | None = None
    user: User = field(default_factory=User)
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    cwd: str = ""
    capabilities: Capabilities | None = None
    rlimits: tuple[Rlimit, ...] = ()
    no_new_privileges: bool = False
    apparmor_profile: str = ""
    oom_score_adj: I64 | None = None
    scheduler: Scheduler | None = None
    selinux_label: str = ""
    io_priority: IoPriority | None = None
    exec_cpu_affinity: CpuAffinity | None = None


@dataclass(frozen=True, slots=True)
class Root(Extensible):
    """The root file system."""

    path: str = ""
    readonly: bool = False


@dataclass(frozen=True, slots=True)
class Mount(Extensible):
    """One mount in the container."""

    destination: str = ""
    type: str = ""
    source: str = ""
    options: tuple[str, ...] = ()
    uid_mappings: tuple[IdMapping, ...] = ()
    gid_mappings: tuple[IdMapping, ...] = ()

    @property
    def binds(self) -> bool:
        """Whether the source is a file or directory rather than a file system."""
        return self.type == "bind" or "bind" in self.options or "rbind" in self.options


@dataclass(frozen=True, slots=True)
class Hook(Extensible):
    """A program to run at some point of a container's life; `timeout` in seconds."""

    path: str = ""
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    timeout: I64 | None = None


@dataclass(frozen=True, slots=True)
class Hooks(Extensible):
    """The six points of a container's life."""

    prestart: tuple[Hook, ...] = ()
    create_runtime: tuple[Hook, ...] = ()
    create_container: tuple[Hook, ...] = ()
    start_container: tuple[Hook, ...] = ()
    poststart: tuple[Hook, ...] = ()
    poststop: tuple[Hook, ...] = ()


@dataclass(frozen=True, slots=True)
class Spec(Extensible):
    """A whole config.json."""

    oci_version: str = ""
    process: Process | None = None
    root: Root | None = None
    hostname: str = ""
    domainname: str = ""
    mounts: tuple[Mount, ...] = ()
    hooks: Hooks | None = None
    annotations: dict[str, str] = field(default_factory=dict[str, str])
    linux: Linux | None = None
