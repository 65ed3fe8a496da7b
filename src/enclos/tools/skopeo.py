"""skopeo: fetches images from registries, layouts, archives and other stores.

Authentication files, proxies, mirrors and the signature policy are skopeo's own business
(auth.json, registries.conf, policy.json). Tried with 1.9 and 1.18.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path
from typing import Final

from enclos.linux import process
from enclos.structs import dataclass

_STDOUT: Final = -2
"""`subprocess.STDOUT`: both streams into one pipe."""
_INSPECT_TIMEOUT_S: Final = 120.0
_MAX_MESSAGE: Final = 600
_FATAL = re.compile(r'level=fatal msg="((?:[^"\\]|\\.)*)"')


class Cause(StrEnum):
    """Why a copy failed, as far as its message tells; the rest is OTHER."""

    UNKNOWN = "unknown"
    DENIED = "denied"
    PLATFORM = "platform"
    DAMAGED = "damaged"
    DISK = "disk"
    NETWORK = "network"
    POLICY = "policy"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Failure:
    """A copy that failed: its cause and skopeo's words."""

    cause: Cause
    message: str


_SIGNS: Final = {
    Cause.DISK: ("no space left on device", "disk quota exceeded", "read-only file system"),
    Cause.PLATFORM: ("no image found in manifest list", "no image found in image index"),
    Cause.DAMAGED: (
        "digest did not match",
        "does not match",
        "blobs/sha256/",
        "tar component",
        "archive/tar",
        "unexpected eof",
        "unexpected end of json",
        "checksum",
        "invalid character",
    ),
    Cause.UNKNOWN: (
        "manifest unknown",
        "name unknown",
        "not known to registry",
        "not found",
        "no descriptor found",
        "does not resolve to an image",
        "no such image",
        "no such file or directory",
        "not a directory",
        "more than one image",
    ),
    Cause.DENIED: ("unauthorized", "authentication required", "denied", "forbidden"),
    Cause.POLICY: ("policy.json", "source image rejected", "signature"),
    Cause.NETWORK: (
        "dial tcp",
        "no such host",
        "timeout",
        "connection re",
        "tls:",
        "x509",
        "proxyconnect",
        "cannot connect",
        "http response to https",
    ),
}
"""What skopeo says, in lower case, by cause; the first match counts."""


def copy(
    source: str,
    layout: Path,
    *,
    blobs: Path,
    architecture: str,
    scratch: Path,
    line: Callable[[str], None],
    terminal_fd: int | None = None,
) -> Failure | None:
    """Copy the image `source` into the new `layout`, its blobs into the shared directory `blobs`.

    Of an image for several platforms the one for linux and `architecture` (Go's name) is
    taken. Progress goes to `line`, or as bars to `terminal_fd`. Blobs that are there already
    are not fetched again; all come whole or not at all, by rename. Raises `HostUnfit` if
    skopeo is missing.
    """
    argv = [
        "skopeo",
        *("--override-os", "linux"),
        *("--override-arch", architecture),
        *("--tmpdir", os.fspath(scratch)),
        "copy",
        *("--dest-shared-blob-dir", os.fspath(blobs)),
        "--dest-oci-accept-uncompressed-layers",
        source,
        f"oci:{layout}",
    ]
    stderr = _STDOUT if terminal_fd is None else None
    with process.running(argv, stdout=terminal_fd, stderr=stderr, package="skopeo") as child:
        stream = child.stdout if terminal_fd is None else child.stderr
        message = _follow(stream or (), line)
        status = child.wait()
    return failure(message or f"it ended with status {status}") if status else None


def inspect_raw(source: str) -> bytes:
    """The manifest of `source` as it is, a list of manifests included; empty if that fails."""
    argv = ["skopeo", "inspect", "--raw", source]
    done = process.run(argv, timeout_s=_INSPECT_TIMEOUT_S, check=False, package="skopeo")
    return done.stdout if done.status == 0 else b""


def failure(message: str) -> Failure:
    """The failure that skopeo's last words tell of."""
    found = _FATAL.search(message)
    text = _unquoted(found[1]) if found else message
    flat = " ".join(text.split())[:_MAX_MESSAGE]
    for cause, signs in _SIGNS.items():
        if any(sign in flat.lower() for sign in signs):
            return Failure(cause, flat)
    return Failure(Cause.OTHER, flat)


def _follow(stream: Iterable[bytes], line: Callable[[str], None]) -> str:
    """Pass on lines of progress; the last other one, which tells of the failure."""
    message = ""
    for raw in stream:
        text = raw.decode("utf-8", "replace").rstrip()
        if "level=fatal" in text or text.startswith("FATA"):
            message = text
        elif text:
            line(text)
    return message


def _unquoted(text: str) -> str:
    try:
        return str(json.loads(f'"{text}"'))
    except ValueError:
        return text
