"""The table of settings: one frozen dataclass, each field with its kind and its help.

Man page, parser, `doctor` and the tests read this table. Reading files and the environment is
in `load`, the meaning of a written value in `parse`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from enclos.structs import dataclass

_MIB: Final = 1 << 20


class Accelerator(StrEnum):
    """What runs the guest's code: `auto` takes KVM if a real guest boots with it."""

    AUTO = "auto"
    KVM = "kvm"
    TCG = "tcg"


class LogLevel(StrEnum):
    """How much is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Kind(StrEnum):
    """How a value is written."""

    PATH = "path"
    TEXT = "text"
    FLAG = "true or false"
    SIZE = "bytes, or text such as 512M or 1GiB"
    COUNT = "number"
    SECONDS = "seconds"
    ACCELERATOR = "auto, kvm or tcg"
    LEVEL = "debug, info, warning or error"


def _about(kind: Kind, text: str) -> dict[str, object]:
    return {"kind": kind, "help": text}


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings. A size or count of 0 means that Enclos chooses."""

    state_root: Path = field(
        default=Path("/run/enclos"),
        metadata=_about(Kind.PATH, "where running containers are written down; best on a tmpfs"),
    )
    data_root: Path = field(
        default=Path("/var/lib/enclos"),
        metadata=_about(Kind.PATH, "where images, containers, assets and templates are kept"),
    )
    accelerator: Accelerator = field(
        default=Accelerator.AUTO,
        metadata=_about(
            Kind.ACCELERATOR,
            "what runs the guest's code; auto boots a guest under KVM once and remembers",
        ),
    )
    default_memory_bytes: int = field(
        default=1024 * _MIB,
        metadata=_about(Kind.SIZE, "memory of a sandbox whose container states no limit"),
    )
    base_memory_bytes: int = field(
        default=256 * _MIB,
        metadata=_about(Kind.SIZE, "memory of a template; the rest is plugged after its restore"),
    )
    max_memory_bytes: int = field(
        default=0,
        metadata=_about(Kind.SIZE, "memory that a sandbox can grow to; 0: all of the host's"),
    )
    default_vcpus: int = field(
        default=1,
        metadata=_about(Kind.COUNT, "virtual CPUs of a sandbox whose container states no limit"),
    )
    max_vcpus: int = field(
        default=0,
        metadata=_about(Kind.COUNT, "virtual CPUs a sandbox can grow to; 0: as many as the host"),
    )
    overhead_memory_bytes: int = field(
        default=256 * _MIB,
        metadata=_about(
            Kind.SIZE,
            "memory that a machine's programs may use on the host beyond the guest's, in the "
            "control group of a container with a memory limit",
        ),
    )
    overhead_cpus: int = field(
        default=1,
        metadata=_about(
            Kind.COUNT,
            "CPUs' worth of time that a machine may use on the host beyond its container's limit",
        ),
    )
    overhead_tasks: int = field(
        default=192,
        metadata=_about(
            Kind.COUNT,
            "threads that a machine may have on the host beyond its container's pids limit",
        ),
    )
    local_disk_bytes: int = field(
        default=16384 * _MIB,
        metadata=_about(
            Kind.SIZE,
            "size of a sandbox's own disk, made where a container wants one; it takes the room "
            "that is written to, in data_root; 0: none",
        ),
    )
    local_paths: str = field(
        default="/var/lib/docker:/var/lib/containerd:/var/lib/containers",
        metadata=_about(
            Kind.TEXT, "directories of a privileged container that lie on that disk, with colons"
        ),
    )
    default_network: str = field(
        default="none",
        metadata=_about(
            Kind.TEXT,
            "network of containers of `enclos run` that ask for none and publish no port: none, "
            "bridge, host or a network's name",
        ),
    )
    template: bool = field(
        default=True,
        metadata=_about(Kind.FLAG, "restore sandboxes from a template instead of booting each"),
    )
    emulation_notice: bool = field(
        default=True,
        metadata=_about(
            Kind.FLAG, "say at each run, on stderr, that emulation is no isolation boundary"
        ),
    )
    boot_timeout_s: float = field(
        default=120.0,
        metadata=_about(Kind.SECONDS, "how long a guest may take to boot or to be restored"),
    )
    agent_timeout_s: float = field(
        default=30.0,
        metadata=_about(Kind.SECONDS, "how long the guest's agent may take to answer"),
    )
    log_level: LogLevel = field(
        default=LogLevel.WARNING, metadata=_about(Kind.LEVEL, "how much is logged")
    )
    debian_mirror: str = field(
        default="http://deb.debian.org/debian",
        metadata=_about(Kind.TEXT, "where `assets build` takes packages from"),
    )
    tool_root: str = field(
        default="",
        metadata=_about(
            Kind.TEXT, "directory with QEMU, virtiofsd and passt, instead of the assets' own"
        ),
    )
    kernel_arguments: str = field(
        default="",
        metadata=_about(Kind.TEXT, "added to the guest kernel's command line, for debugging"),
    )
    allowed_annotations: str = field(
        default="",
        metadata=_about(
            Kind.TEXT,
            "names of annotations io.enclos.NAME by which containers may shape their machine, with "
            "spaces: memory, vcpus, kernel_arguments, template, or * for all; empty: none",
        ),
    )


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    name: str
    kind: Kind
    default: Any
    help: str

    @property
    def variable(self) -> str:
        """The environment variable that overrides the files."""
        return f"ENCLOS_{self.name.upper()}"


def rows() -> tuple[Row, ...]:
    """The whole table, in the order of the man page."""
    return tuple(
        Row(entry.name, entry.metadata["kind"], entry.default, entry.metadata["help"])
        for entry in dataclasses.fields(Settings)
    )


DEFAULTS: Final = Settings()
