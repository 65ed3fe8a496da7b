"""Which control group hierarchies this host has, and where a container's path lies in them."""

from __future__ import annotations

import posixpath
from enum import StrEnum
from pathlib import Path
from typing import Final

from enclos.errors import InvalidRequest
from enclos.linux import mountinfo
from enclos.structs import dataclass

V1_CONTROLLERS: Final = frozenset(
    {
        "cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids",
        "net_cls", "net_prio", "perf_event", "hugetlb", "rdma", "misc",
    }
)  # fmt: skip

OWN_PARENT: Final = "enclos"
"""Where containers have their groups whose specification names none."""


class Mode(StrEnum):
    """`hybrid`: controllers in v1 hierarchies, and a v2 one beside them."""

    UNIFIED = "v2"
    LEGACY = "v1"
    HYBRID = "hybrid"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """One mounted v1 hierarchy; `controllers` is empty for a named one such as systemd's."""

    mount: Path
    controllers: frozenset[str]


@dataclass(frozen=True, slots=True)
class Layout:
    """All hierarchies. `unified` is the v2 mount, None without one."""

    mode: Mode
    unified: Path | None
    legacy: tuple[Hierarchy, ...]


def detect(table: Path = mountinfo.TABLE) -> Layout:
    """The hierarchies mounted in this mount namespace; of two mounts of one the first counts."""
    unified: Path | None = None
    legacy: dict[str, Hierarchy] = {}
    for entry in mountinfo.entries(table):
        if entry.fstype == "cgroup2" and unified is None:
            unified = entry.target
        elif entry.fstype == "cgroup" and entry.device not in legacy:
            options = frozenset(entry.super_options.split(","))
            legacy[entry.device] = Hierarchy(entry.target, options & V1_CONTROLLERS)
    hierarchies = tuple(legacy.values())
    return Layout(_mode(unified, hierarchies), unified, hierarchies)


def _mode(unified: Path | None, legacy: tuple[Hierarchy, ...]) -> Mode:
    if any(hierarchy.controllers for hierarchy in legacy):
        return Mode.LEGACY if unified is None else Mode.HYBRID
    return Mode.NONE if unified is None else Mode.UNIFIED


def relative(cgroups_path: str, container_id: str, *, systemd: bool = False) -> str:
    """Where a container's control group lies below each hierarchy's mount, without a slash first.

    `cgroups_path` is the specification's: a path, with `systemd` `slice:prefix:name`, or empty
    for a place of our own. Raises `InvalidRequest` for what cannot be one.
    """
    if not cgroups_path:
        return f"{OWN_PARENT}/{container_id}"
    if systemd:
        return _of_systemd(cgroups_path)
    if "\0" in cgroups_path or len(cgroups_path) > 4096:
        raise InvalidRequest("linux.cgroupsPath is not a path")
    plain = posixpath.normpath("/" + cgroups_path).strip("/")
    if not plain:
        raise InvalidRequest(
            "linux.cgroupsPath is the root of the control groups",
            hint="give the container a control group of its own",
        )
    return plain


def _of_systemd(text: str) -> str:
    """`machine.slice:libpod:ID` is machine.slice/libpod-ID.scope."""
    parts = text.split(":")
    if len(parts) != 3 or "/" in text or not parts[2]:
        raise InvalidRequest(
            f"linux.cgroupsPath {text[:80]!r} is not SLICE:PREFIX:NAME",
            hint="without --systemd-cgroup it is taken as a path",
        )
    slice_name, prefix, name = parts
    unit = name if name.endswith(".slice") else f"{prefix}-{name}.scope".removeprefix("-")
    return "/".join([*_slices(slice_name or "system.slice"), unit])


def _slices(name: str) -> list[str]:
    """`a-b.slice` lies in `a.slice`."""
    stem = name.removesuffix(".slice")
    if name == "-.slice":
        return []
    if stem == name or not all(stem.split("-")):
        raise InvalidRequest(f"{name[:80]!r} is not the name of a systemd slice")
    words = stem.split("-")
    return ["-".join(words[: count + 1]) + ".slice" for count in range(len(words))]
