"""A volume as the kubelet writes ConfigMaps and secrets: links, and one rename for an update."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path


def swap(volume: Path, files: Mapping[str, str], *, mode: int = 0o644) -> None:
    """Make `volume`, which need not be there, have exactly these files, in the kubelet's order."""
    volume.mkdir(parents=True, exist_ok=True)
    data = f"..{time.time_ns()}"
    for name, text in files.items():
        path = volume / data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
    (volume / "..data_tmp").symlink_to(data)
    (volume / "..data_tmp").rename(volume / "..data")
    visible = {name.partition("/")[0] for name in files}
    for name in visible - set(os.listdir(volume)):
        (volume / name).symlink_to(f"..data/{name}")
    for name in os.listdir(volume):
        if name.startswith("..") and name not in {data, "..data"}:
            shutil.rmtree(volume / name)
        elif not name.startswith("..") and name not in visible:
            (volume / name).unlink()
