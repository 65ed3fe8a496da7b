"""What a shim reads of a bundle: the specification that containerd has written."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from enclos.errors import InvalidRequest, Unsupported
from enclos.linux import files
from enclos.oci.types import Spec
from enclos.sandbox.hostgroup import Manager

_SPEC_BYTES: Final = 16 << 20
_SYSTEMD_PARTS: Final = 3


def spec_text(bundle: Path) -> bytes:
    """config.json; raises `Unsupported` where there is none, `InvalidRequest` if it is no file."""
    try:
        return files.read_bounded(bundle / "config.json", _SPEC_BYTES)
    except FileNotFoundError as error:
        raise Unsupported(
            "a bundle without config.json: sandboxes made by the shim are not supported",
            hint='use sandboxer = "podsandbox", which is the default',
        ) from error
    except OSError as error:
        raise InvalidRequest(f"cannot read {bundle}/config.json: {error}") from error


def manager(spec: Spec) -> Manager:
    """How `linux.cgroupsPath` is written: clients tell a runtime that is not runc's by its form."""
    path = spec.linux.cgroups_path if spec.linux is not None else ""
    parts = path.split(":")
    systemd = len(parts) == _SYSTEMD_PARTS and (not parts[0] or parts[0].endswith(".slice"))
    return Manager.SYSTEMD if systemd else Manager.CGROUPFS
