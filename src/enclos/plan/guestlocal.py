"""Directories of a container that lie on a disk of the machine, not in the share. PURE.

The share cannot be the upper layer of an overlay. So a privileged container, which may be there
to make containers of its own, gets the usual places of engines on a file system of the guest's;
any container can ask for its own by an annotation. They end with the container.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Final

from enclos.oci.complaint import refusal
from enclos.oci.types import Mount
from enclos.structs import dataclass
from enclos.wire.places import LOCAL_PATH

ANNOTATION: Final = "enclos.local-paths"
"""Absolute paths in the container, separated by colons; they win over mounts at their place."""
_MOST: Final = 64


@dataclass(frozen=True, slots=True)
class LocalPaths:
    """Mounts for the guest's spec, in the order of the directories behind them."""

    mounts: tuple[Mount, ...] = ()


def choose(
    annotations: Mapping[str, str],
    mounts: tuple[Mount, ...],
    *,
    container_id: str,
    usual: tuple[str, ...],
) -> LocalPaths:
    """The container's local directories; raises `InvalidRequest` for a path that is none.

    Of the `usual` ones those are left out that something else is mounted at or above.
    """
    asked = annotations.get(ANNOTATION, "")
    if asked:
        paths = tuple(_checked(path) for path in asked.split(":"))
    else:
        taken = {posixpath.normpath(mount.destination) for mount in mounts} - {"/"}
        paths = tuple(path for path in usual if not taken & _and_above(path))
    if len(paths) > _MOST:
        raise refusal(f"annotations.{ANNOTATION}", f"{len(paths)} paths", f"give at most {_MOST}")
    return LocalPaths(tuple(_mount(path, at, container_id) for at, path in enumerate(paths)))


def _checked(path: str) -> str:
    if not path.startswith("/") or posixpath.normpath(path) in {"/", "/proc", "/sys", "/dev"}:
        raise refusal(
            f"annotations.{ANNOTATION}",
            f"{path[:80]!r} is no place for a directory",
            "give absolute paths, separated by colons",
        )
    return posixpath.normpath(path)


def _and_above(path: str) -> set[str]:
    parts = path.strip("/").split("/")
    return {"/" + "/".join(parts[:count]) for count in range(1, len(parts) + 1)}


def _mount(path: str, at: int, container_id: str) -> Mount:
    return Mount(path, "bind", f"{LOCAL_PATH}/{container_id}/{at}", ("bind", "rw"))
