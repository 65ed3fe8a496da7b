"""What a shim reads of a bundle: the specification that containerd has written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from enclos.errors import InvalidRequest
from enclos.linux import files
from enclos.shim import where

if TYPE_CHECKING:
    from enclos.oci.types import Spec
    from enclos.sandbox.hostgroup import Manager

_ID_BYTES: Final = 1024
_SPEC_BYTES: Final = 16 << 20
_SYSTEMD_PARTS: Final = 3


def spec_text(bundle: Path) -> bytes:
    """config.json; raises `InvalidRequest` if it is not there or no file."""
    try:
        return files.read_bounded(bundle / where.SPEC, _SPEC_BYTES)
    except OSError as error:
        raise InvalidRequest(f"cannot read {bundle}/{where.SPEC}: {error}") from error


def annotations_of(bundle: Path) -> dict[str, str]:
    """Those of the specification; raises `InvalidRequest` if there is none.

    One that is not valid has none here: whoever reads all of it says what is wrong with it.
    """
    try:
        raw: object = json.loads(spec_text(bundle))
    except (ValueError, RecursionError):
        return {}
    found = _members(_members(raw).get("annotations"))
    return {key: value for key, value in found.items() if isinstance(value, str)}


def _members(value: object) -> dict[str, object]:
    """Those of an object of JSON; none of anything else."""
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def is_of_pod(bundle: Path) -> bool:
    """Whether it is that of a pod without a container, which the sandbox service is to make."""
    return not (bundle / where.SPEC).exists()


def sandbox_of(bundle: Path) -> str:
    """The sandbox through whose shim containerd 2 has made a container without `start`, and which
    it will not have deleted by `delete` either; empty for any other."""
    try:
        return files.read_bounded(bundle / "sandbox", _ID_BYTES).decode("utf-8", "replace").strip()
    except OSError:
        return ""


def manager(spec: Spec) -> Manager:
    """How `linux.cgroupsPath` is written: clients tell a runtime that is not runc's by its form."""
    from enclos.sandbox.hostgroup import Manager  # late: whoever finds a shim does not ask this

    path = spec.linux.cgroups_path if spec.linux is not None else ""
    parts = path.split(":")
    systemd = len(parts) == _SYSTEMD_PARTS and (not parts[0] or parts[0].endswith(".slice"))
    return Manager.SYSTEMD if systemd else Manager.CGROUPFS
