"""What is measured: the programs and the assets, found once and named in the report."""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path

from enclos.assets import store
from tests.perf import commands
from tests.perf.series import Unavailable

IMAGE = "enclos/demo"


@dataclass(frozen=True, slots=True)
class Subject:
    """Programs by path; `runsc` may be nothing. `scratch` is removed in the end."""

    enclos: str
    enclos_oci: str
    runsc: str
    assets: store.Assets
    scratch: Path


def find(*, enclos: str, data_root: Path, runsc: str, scratch: Path) -> Subject:
    """The programs; `enclos` is a path or a name. Raises `Unavailable` if one is not there."""
    first = shutil.which(enclos)
    if first is None:
        raise Unavailable(f"no {enclos} on the PATH: run make install first")
    second = Path(first).with_name("enclos-oci")
    if not second.exists():
        raise Unavailable(f"no {second}")
    return Subject(first, str(second), runsc, store.load(data_root), scratch)


def versions(subject: Subject) -> dict[str, str]:
    """Who was measured on what."""
    found = {
        "host kernel": platform.release(),
        "guest kernel": subject.assets.kernel_release,
        "qemu": subject.assets.qemu_version,
        "python": platform.python_version(),
        "cpus": str(os.cpu_count()),
        "load before": " ".join(f"{value:.2f}" for value in os.getloadavg()),
    }
    for name in ("runc", "crun", subject.runsc):
        if name:
            found[Path(name).name] = _first_line([name, "--version"])
    found["enclos"] = _first_line([subject.enclos, "version"])
    return found


def _first_line(argv: list[str]) -> str:
    try:
        return (commands.run(argv).strip().splitlines() or [""])[0]
    except Unavailable as error:
        return str(error)
