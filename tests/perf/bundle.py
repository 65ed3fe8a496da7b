"""The bundle that every runtime runs: busybox and next to nothing else.

No cgroup limits, no seccomp, no network: what all of them can do on this machine, so that they
are given the same.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from enclos.assets import initrd, store

NAMESPACES = ("pid", "mount", "ipc", "uts", "network")


def make(assets: store.Assets, directory: Path, args: Sequence[str]) -> Path:
    """A bundle in `directory` that runs `args`."""
    programs = directory / "rootfs" / "bin"
    programs.mkdir(parents=True)
    shutil.copy2(assets.guest_root / initrd.BUSYBOX, programs / "busybox")
    for name in ("true", "sh", "sleep"):
        (programs / name).symlink_to("busybox")
    for name in ("proc", "dev", "tmp"):
        (directory / "rootfs" / name).mkdir()
    (directory / "config.json").write_text(json.dumps(_spec(args)))
    return directory


def _spec(args: Sequence[str]) -> dict[str, object]:
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": list(args),
            "env": ["PATH=/bin"],
            "cwd": "/",
        },
        "root": {"path": "rootfs"},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"]},
        ],
        "linux": {"namespaces": [{"type": kind} for kind in NAMESPACES]},
    }
