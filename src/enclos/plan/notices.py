"""Where a container says how it is getting on, and who is to hear of it (sd_notify(3)). PURE.

A socket of the host is without a listener in the guest: a socket of the guest is mounted at its
place, and what comes there is passed on. Either the specification has such a socket (podman with
`--sdnotify=container`), or whoever calls the runtime waits at one (NOTIFY_SOCKET in the
environment) and the container is given another, as runc does.
"""

from __future__ import annotations

import posixpath
from dataclasses import replace
from enum import StrEnum
from typing import Final

from enclos.oci.types import Mount, Process, Spec
from enclos.structs import dataclass
from enclos.wire.places import NOTICES_NAME, NOTICES_PATH

VARIABLE: Final = "NOTIFY_SOCKET"
_OURS: Final = "/run/notify"
"""The directory that the container is given; runc has it at the same place."""


class Kind(StrEnum):
    """What is passed on: everything as it is, or that it is ready, with the stand-in's pid."""

    ALL = "all"
    READY = "ready"


@dataclass(frozen=True, slots=True)
class Notices:
    """A container's notices: they go to `host`, and come from `place` in the container.

    With `inner`, `host` is a mount's source, and the socket lies there below it: what is in
    there may be the guest's own work, a symbolic link for one.
    """

    kind: Kind
    host: str
    place: str
    inner: str = ""

    def mount(self, container_id: str) -> Mount:
        """The guest's socket at its place, or the directory with it."""
        directory = f"{NOTICES_PATH}/{container_id}"
        if self.kind is Kind.READY:
            options = ("bind", "ro", "nosuid", "nodev", "noexec")
            return Mount(posixpath.dirname(self.place), "bind", directory, options)
        return Mount(self.place, "bind", f"{directory}/{NOTICES_NAME}", ("bind",))

    def told(self, process: Process) -> Process:
        """The process, which finds the place in its environment."""
        if self.kind is Kind.ALL:
            return process
        kept = [one for one in process.env if not one.startswith(f"{VARIABLE}=")]
        return replace(process, env=(*kept, f"{VARIABLE}={self.place}"))


def of_caller(host: str) -> Notices:
    """Those of a container whose runtime was called with a socket in its environment."""
    return Notices(Kind.READY, host, f"{_OURS}/{NOTICES_NAME}")


def in_spec(spec: Spec, bundle: str) -> Notices | None:
    """Those at a socket that a bind mount shows; whether there is one is for the host to say."""
    place = _named(spec.process or Process())
    above = [mount for mount in spec.mounts if mount.binds and _holds(mount.destination, place)]
    if not place or not above:
        return None
    mount = max(above, key=lambda one: len(posixpath.normpath(one.destination)))
    inner = posixpath.relpath(place, posixpath.join("/", mount.destination))
    host = posixpath.normpath(posixpath.join(bundle, mount.source))
    return Notices(Kind.ALL, host, place, "" if inner == "." else inner)


def _named(process: Process) -> str:
    """The last word on it; empty without a path."""
    prefix = f"{VARIABLE}="
    words = [one.removeprefix(prefix) for one in process.env if one.startswith(prefix)]
    return posixpath.normpath(words[-1]) if words and words[-1].startswith("/") else ""


def _holds(destination: str, place: str) -> bool:
    above = posixpath.normpath(posixpath.join("/", destination))
    return place == above or place.startswith(f"{above.rstrip('/')}/")
