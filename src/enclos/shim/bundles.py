"""What a shim reads of a bundle: the specification that containerd has written."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from enclos.errors import InvalidRequest
from enclos.linux import files
from enclos.oci.types import Spec
from enclos.sandbox.hostgroup import Manager

_SPEC: Final = "config.json"
_ID_BYTES: Final = 1024
_SPEC_BYTES: Final = 16 << 20
_SYSTEMD_PARTS: Final = 3


def spec_text(bundle: Path) -> bytes:
    """config.json; raises `InvalidRequest` if it is not there or no file."""
    try:
        return files.read_bounded(bundle / _SPEC, _SPEC_BYTES)
    except OSError as error:
        raise InvalidRequest(f"cannot read {bundle}/{_SPEC}: {error}") from error


def is_of_pod(bundle: Path) -> bool:
    """Whether it is that of a pod without a container, which the sandbox service is to make."""
    return not (bundle / _SPEC).exists()


def sandbox_of(bundle: Path) -> str:
    """The sandbox through whose shim containerd 2 has made a container without `start`, and which
    it will not have deleted by `delete` either; empty for any other."""
    try:
        return files.read_bounded(bundle / "sandbox", _ID_BYTES).decode("utf-8", "replace").strip()
    except OSError:
        return ""


def manager(spec: Spec) -> Manager:
    """How `linux.cgroupsPath` is written: clients tell a runtime that is not runc's by its form."""
    path = spec.linux.cgroups_path if spec.linux is not None else ""
    parts = path.split(":")
    systemd = len(parts) == _SYSTEMD_PARTS and (not parts[0] or parts[0].endswith(".slice"))
    return Manager.SYSTEMD if systemd else Manager.CGROUPFS
