"""What is measured: the programs and the assets, found once and named in the report."""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from enclos.assets import store
from enclos.config import facts, load
from enclos.hypervisor.qemu.argv import Board
from enclos.sandbox import accelerate
from enclos.sandbox.place import Place
from enclos.state.store import StateRoot
from tests.perf import commands
from tests.perf.series import Unavailable

IMAGE: Final = "enclos/demo"


@dataclass(frozen=True, slots=True)
class Subject:
    """Programs by path; `runsc` may be nothing. `scratch` is removed in the end."""

    enclos: str
    enclos_oci: str
    runsc: str
    assets: store.Assets
    board: Board
    state_root: Path
    scratch: Path


def find(*, enclos: str, runsc: str, scratch: Path) -> Subject:
    """The programs; `enclos` is a path or a name. Raises `Unavailable` if one is not there."""
    first = shutil.which(enclos)
    if first is None:
        raise Unavailable(f"no {enclos} on the PATH: run make install first")
    second = Path(first).with_name("enclos-oci")
    if not second.exists():
        raise Unavailable(f"no {second}")
    settings = load.settings()
    place = Place(StateRoot(settings.state_root), settings, facts.gather())
    assets = store.load(settings.data_root)
    board = place.board(
        accelerate.choose(settings, place.host, assets), vcpus=settings.default_vcpus
    )
    return Subject(first, str(second), runsc, assets, board, settings.state_root, scratch)


def versions(subject: Subject) -> dict[str, str]:
    """Who was measured on what."""
    found = {
        "host kernel": platform.release(),
        "guest kernel": subject.assets.kernel_release,
        "qemu": subject.assets.qemu_version,
        "accelerator": subject.board.accelerator,
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
